/* A stand-in for NVIDIA's management library, for tests on machines without a GPU.
 *
 *   cc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o DIR/libnvidia-ml.so.1 nvml_stub.c
 *   NVML_STUB=answers.txt LD_LIBRARY_PATH=DIR python ...
 *
 * Answers are lines "key=value" of the file that $NVML_STUB names, read again when it changes, so
 * that they can change while a program runs (replace the file, do not rewrite it). "*.key" holds for
 * every GPU without a line of its own; "!N" makes the call return NVML error N (15: GPU is lost);
 * a key that is absent answers "not supported", as real boards do. init=!9: driver not loaded.
 *   0.energy=5000~300000   grows: 5000 + 300000 times CLOCK_MONOTONIC in seconds
 *   0.field.83=...         field 83 of nvmlDeviceGetFieldValues
 *   0.violation.1=...      policy 1 of nvmlDeviceGetViolationStatus
 *   0.mig1.uuid=MIG-...    slice 1 of GPU 0, with mig_count=7
 *   events=0:79,1:48       Xid 79 of GPU 0, then 48 of GPU 1, each delivered once
 *   latency=25             each call takes so many microseconds of CPU time
 *   missing=NAME           that function answers as if the driver did not have it
 *
 * nvidia-ml-py looks for libnvidia-ml.so.1 and calls nvmlInitWithFlags, the _v2 of count and
 * handles, the _v3 of PCI info and processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int result;

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       TOO_SMALL = 7, TIMED_OUT = 10, NO_FUNCTION = 13, WRONG_VERSION = 25, UNKNOWN = 999 };
static const double LOOKS = 50e-6;
enum { MOST = 64, LONGEST = 512, LINES = 1024, SLICES = 8, MEMORY_V2 = 0x02000028 };

/* The first MOST are GPUs; SLICES of each follow. */
struct device { u32 index; };
static struct device devices[MOST * (1 + SLICES)];
static int sessions, registered, delivered;
static struct { char key[96], value[LONGEST]; } lines[LINES];
static u32 hashes[LINES]; /* of the keys: the monitor's cost is measured over this, not with it */
static int line_count;
static struct stat seen;
static double looked; /* at the file, in seconds */

__attribute__((constructor)) static void number_devices(void) {
  for (u32 i = 0; i < MOST * (1 + SLICES); i++) devices[i].index = i;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static u32 hash(const char *key) {
  u32 found = 2166136261u; /* FNV-1a */
  while (*key) found = (found ^ (unsigned char)*key++) * 16777619u;
  return found;
}

/* Read the file of answers again if it was replaced. One call of the library looks up to ten times,
 * within LOOKS seconds. */
static int read_answers(void) {
  const char *path = getenv("NVML_STUB");
  struct stat is;
  char line[LONGEST];
  if (line_count && now() - looked < LOOKS) return 1;
  if (!path || stat(path, &is)) return 0;
  looked = now();
  if (is.st_ino == seen.st_ino && is.st_size == seen.st_size &&
      is.st_mtim.tv_nsec == seen.st_mtim.tv_nsec && is.st_mtim.tv_sec == seen.st_mtim.tv_sec) return 1;
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  line_count = 0;
  while (line_count < LINES && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\r\n")] = 0;
    char *equals = strchr(line, '=');
    if (!equals) continue;
    *equals = 0;
    snprintf(lines[line_count].key, sizeof lines[0].key, "%.95s", line);
    hashes[line_count] = hash(lines[line_count].key);
    snprintf(lines[line_count++].value, LONGEST, "%s", equals + 1);
  }
  fclose(file);
  seen = is;
  return 1;
}

/* Find a key's value. A line of its own wins over one for every GPU, the last one over others. */
static result look(const char *key, char *value, size_t size) {
  const char *dot = strchr(key, '.');
  char general[LONGEST] = "";
  int found = 0;
  if (!read_answers()) return UNKNOWN;
  if (dot) snprintf(general, sizeof general, "*%s", dot);
  u32 mine = hash(key), all = hash(general);
  for (int i = 0; i < line_count; i++) {
    if (hashes[i] != mine && hashes[i] != all) continue;
    int own = !strcmp(lines[i].key, key);
    if (own || (found < 2 && *general && !strcmp(lines[i].key, general))) {
      snprintf(value, size, "%s", lines[i].value);
      found = own ? 2 : 1;
    }
  }
  if (!found) return NOT_SUPPORTED;
  return value[0] == '!' ? atoi(value + 1) : OK;
}

/* Take as long as a driver does, as CPU time. */
static void spin(void) {
  char value[LONGEST];
  if (look("latency", value, sizeof value)) return;
  double end = now() + atof(value) / 1e6;
  while (now() < end) {}
}

static int lacks(const char *function) {
  char value[LONGEST];
  return !look("missing", value, sizeof value) && strstr(value, function) != NULL;
}

static result find(struct device *device, const char *key, char *value, size_t size) {
  char whole[LONGEST];
  if (!sessions) return UNINITIALIZED;
  if (device < devices || device >= devices + MOST * (1 + SLICES)) return INVALID;
  u32 index = device->index, slice = (index - MOST) % SLICES;
  if (index < MOST) snprintf(whole, sizeof whole, "%u.%s", index, key);
  else snprintf(whole, sizeof whole, "%u.mig%u.%s", (index - MOST) / SLICES, slice, key);
  return look(whole, value, size);
}

static result ask(struct device *device, const char *key, char *value, size_t size) {
  spin();
  return find(device, key, value, size);
}

static u64 as_number(const char *value) {
  const char *rate = strchr(value, '~');
  double growth = rate ? atof(rate + 1) * now() : 0;
  return strtoull(value, NULL, 0) + (u64)growth;
}

static result ask_number(struct device *device, const char *key, u64 *number) {
  char value[LONGEST];
  result answer = ask(device, key, value, sizeof value);
  if (!answer) *number = as_number(value);
  return answer;
}

static result ask_u32(struct device *device, const char *key, u32 *number) {
  u64 wide;
  result answer = ask_number(device, key, &wide);
  if (!answer) *number = (u32)wide;
  return answer;
}

static result ask_text(struct device *device, const char *key, char *text, u32 size) {
  char value[LONGEST];
  result answer = ask(device, key, value, sizeof value);
  if (answer) return answer;
  if (strlen(value) >= size) return TOO_SMALL;
  strcpy(text, value);
  return OK;
}

static u32 count(void) {
  char value[LONGEST];
  return look("count", value, sizeof value) ? 0 : (u32)atoi(value);
}

result nvmlInitWithFlags(u32 flags) {
  char value[LONGEST];
  result answer = look("init", value, sizeof value);
  (void)flags;
  if (answer == NOT_SUPPORTED) answer = OK;
  if (!answer) sessions++;
  return answer;
}

result nvmlShutdown(void) {
  if (!sessions) return UNINITIALIZED;
  sessions--;
  return OK;
}

const char *nvmlErrorString(result answer) { return answer ? "an error" : "no error"; }

result nvmlSystemGetDriverVersion(char *text, u32 size) { return look("driver", text, size); }

result nvmlSystemGetCudaDriverVersion_v2(int *version) {
  char value[LONGEST];
  result answer = look("cuda", value, sizeof value);
  if (!answer) *version = atoi(value);
  return answer;
}

result nvmlDeviceGetCount_v2(u32 *number) {
  if (!sessions) return UNINITIALIZED;
  *number = count();
  return OK;
}

result nvmlDeviceGetHandleByIndex_v2(u32 index, struct device **device) {
  char value[LONGEST];
  if (!sessions) return UNINITIALIZED;
  if (index >= count()) return INVALID;
  *device = &devices[index];
  result answer = ask(*device, "handle", value, sizeof value);
  return answer == NOT_SUPPORTED ? OK : answer;
}

static u32 slices_of(u32 index) {
  char value[LONGEST];
  return find(&devices[index], "mig_count", value, sizeof value) ? 0 : (u32)atoi(value);
}

static struct device *slice_of(u32 index, u32 slice) { return &devices[MOST + index * SLICES + slice]; }

result nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device) {
  char value[LONGEST];
  if (!sessions) return UNINITIALIZED;
  for (u32 i = 0; i < count(); i++) {
    for (u32 s = 0; s <= slices_of(i); s++) {
      struct device *one = s ? slice_of(i, s - 1) : &devices[i];
      if (!find(one, "uuid", value, sizeof value) && !strcmp(value, uuid)) {
        *device = one;
        return find(one, "handle", value, sizeof value) == NOT_SUPPORTED ? OK : find(one, "handle", value, sizeof value);
      }
    }
  }
  return NOT_FOUND;
}

result nvmlDeviceGetMaxMigDeviceCount(struct device *d, u32 *number) {
  *number = d->index < MOST ? slices_of(d->index) : 0;
  return OK;
}

result nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, u32 index, struct device **slice) {
  char value[LONGEST];
  if (d->index >= MOST || index >= SLICES) return INVALID;
  *slice = slice_of(d->index, index);
  return find(*slice, "uuid", value, sizeof value) ? NOT_FOUND : OK;
}

result nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *slice, struct device **device) {
  if (slice->index < MOST) return INVALID;
  *device = &devices[(slice->index - MOST) / SLICES];
  return OK;
}

result nvmlDeviceGetIndex(struct device *device, u32 *index) {
  if (!sessions) return UNINITIALIZED;
  if (device->index >= MOST) return NOT_SUPPORTED;
  *index = device->index;
  return OK;
}

result nvmlDeviceGetName(struct device *d, char *text, u32 size) { return ask_text(d, "name", text, size); }
result nvmlDeviceGetUUID(struct device *d, char *text, u32 size) { return ask_text(d, "uuid", text, size); }
result nvmlDeviceGetPowerUsage(struct device *d, u32 *mw) { return ask_u32(d, "power", mw); }
result nvmlDeviceGetPowerManagementDefaultLimit(struct device *d, u32 *mw) { return ask_u32(d, "power_limit_default", mw); }
result nvmlDeviceGetCurrPcieLinkGeneration(struct device *d, u32 *n) { return ask_u32(d, "pcie_generation", n); }
result nvmlDeviceGetCurrPcieLinkWidth(struct device *d, u32 *n) { return ask_u32(d, "pcie_width", n); }
result nvmlDeviceGetMaxPcieLinkGeneration(struct device *d, u32 *n) { return ask_u32(d, "pcie_generation_max", n); }
result nvmlDeviceGetMaxPcieLinkWidth(struct device *d, u32 *n) { return ask_u32(d, "pcie_width_max", n); }
result nvmlDeviceGetEnforcedPowerLimit(struct device *d, u32 *mw) { return ask_u32(d, "power_limit", mw); }
result nvmlDeviceGetTotalEnergyConsumption(struct device *d, u64 *mj) { return ask_number(d, "energy", mj); }

result nvmlDeviceGetTemperature(struct device *d, u32 sensor, u32 *celsius) {
  (void)sensor;
  return ask_u32(d, "temperature", celsius);
}

struct temperature { u32 version, sensor; int celsius; };

result nvmlDeviceGetTemperatureV(struct device *d, struct temperature *t) {
  return lacks("TemperatureV") ? NOT_SUPPORTED : ask_u32(d, "temperature", (u32 *)&t->celsius);
}

result nvmlDeviceGetClockInfo(struct device *d, u32 kind, u32 *mhz) {
  return kind == 1 ? ask_u32(d, "sm_clock", mhz) : kind == 2 ? ask_u32(d, "memory_clock", mhz) : NOT_SUPPORTED;
}

result nvmlDeviceGetMaxClockInfo(struct device *d, u32 kind, u32 *mhz) {
  return kind == 1 ? ask_u32(d, "sm_clock_max", mhz) : NOT_SUPPORTED;
}

#ifndef OLD_DRIVER /* before 535 the reasons had another name */
result nvmlDeviceGetCurrentClocksEventReasons(struct device *d, u64 *bits) { return ask_number(d, "reasons", bits); }
#endif
result nvmlDeviceGetCurrentClocksThrottleReasons(struct device *d, u64 *bits) { return ask_number(d, "reasons", bits); }

struct pci { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; };

result nvmlDeviceGetPciInfo_v3(struct device *d, struct pci *pci) {
  memset(pci, 0, sizeof *pci);
  return ask_text(d, "bus_id", pci->bus_id, sizeof pci->bus_id);
}

struct rates { u32 gpu, memory; };

result nvmlDeviceGetUtilizationRates(struct device *d, struct rates *rates) {
  rates->memory = 0;
  return ask_u32(d, "utilisation", &rates->gpu);
}

struct memory { u64 total, free, used; };
struct memory_v2 { u32 version; u64 total, reserved, free, used; };

static result ask_memory(struct device *d, struct memory_v2 *memory) {
  result answer = ask_number(d, "memory_total", &memory->total);
  if (!answer) answer = ask_number(d, "memory_used", &memory->used);
  memory->reserved = 0;
  if (!answer) ask_number(d, "memory_reserved", &memory->reserved);
  memory->free = memory->total - memory->used - memory->reserved;
  return answer;
}

#ifndef OLD_DRIVER
result nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *memory) {
  return memory->version == MEMORY_V2 ? ask_memory(d, memory) : WRONG_VERSION;
}
#endif

result nvmlDeviceGetMemoryInfo(struct device *d, struct memory *memory) {
  struct memory_v2 newer;
  result answer = ask_memory(d, &newer);
  if (answer) return answer;
  memory->total = newer.total;
  memory->free = newer.free;
  memory->used = newer.used + newer.reserved;
  return OK;
}

result nvmlDeviceGetEccMode(struct device *d, u32 *now, u32 *next) {
  result answer = ask_u32(d, "ecc", now);
  *next = *now;
  return answer;
}

result nvmlDeviceGetMigMode(struct device *d, u32 *now, u32 *next) {
  result answer = ask_u32(d, "mig", now);
  *next = *now;
  return answer;
}

result nvmlDeviceGetCudaComputeCapability(struct device *d, int *major, int *minor) {
  char value[LONGEST];
  result answer = ask(d, "capability", value, sizeof value);
  if (!answer && sscanf(value, "%d.%d", major, minor) != 2) return UNKNOWN;
  return answer;
}

struct process { u32 pid; u64 memory; u32 gpu_instance, compute_instance; };

static result list(struct device *d, const char *key, u32 *number, struct process *found) {
  char value[LONGEST], *rest = value, *word;
  u32 room = *number;
  result answer = ask(d, key, value, sizeof value);
  *number = 0;
  if (answer) return answer == NOT_SUPPORTED ? OK : answer;
  while ((word = strsep(&rest, ","))) {
    char *colon = strchr(word, ':');
    if (*number < room) {
      struct process one = { .pid = (u32)atoi(word), .memory = ~0ULL, .gpu_instance = ~0u, .compute_instance = ~0u };
      if (colon && strcmp(colon + 1, "na")) one.memory = strtoull(colon + 1, NULL, 10);
      found[*number] = one;
    }
    ++*number;
  }
  return *number > room ? TOO_SMALL : OK;
}

/* processes=PID:BYTES,PID:na */
#ifdef OLD_DRIVER
#define nvmlDeviceGetComputeRunningProcesses_v3 nvmlDeviceGetComputeRunningProcesses_v2
#define nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetGraphicsRunningProcesses_v2
#endif
result nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, u32 *number, struct process *found) {
  return list(d, "processes", number, found);
}

result nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *d, u32 *number, struct process *found) {
  return list(d, "graphics", number, found);
}

struct field { u32 id, scope; long long timestamp, latency; u32 type; result answer; union { u32 u; u64 ull; } value; };

/* Counters and energy are 64-bit numbers, everything else here has 32 bits. */
result nvmlDeviceGetFieldValues(struct device *d, int number, struct field *fields) {
  char key[LONGEST], value[LONGEST];
  spin();
  if (lacks("FieldValues")) return NOT_SUPPORTED;
  if (!sessions) return UNINITIALIZED;
  for (int i = 0; i < number; i++) {
    struct field *one = &fields[i];
    u32 id = one->id;
    int wide = id == 83 || id == 74 || id == 76 || (id >= 269 && id <= 271) || (id >= 3 && id <= 6);
    snprintf(key, sizeof key, "field.%u", id);
    one->timestamp = (long long)(now() * 1e6);
    one->latency = 7;
    one->answer = find(d, key, value, sizeof value);
    one->type = wide ? 3 : 1;
    if (one->answer) continue;
    if (wide) one->value.ull = as_number(value);
    else one->value.u = (u32)as_number(value);
  }
  return OK;
}

struct violation { u64 reference, nanoseconds; };

result nvmlDeviceGetViolationStatus(struct device *d, u32 policy, struct violation *found) {
  char key[LONGEST];
  snprintf(key, sizeof key, "violation.%u", policy);
  found->reference = (u64)(now() * 1e6);
  return ask_number(d, key, &found->nanoseconds);
}

struct fabric { u32 version; unsigned char cluster[16]; result status; u32 clique; unsigned char state; u32 health; };

result nvmlDeviceGetGpuFabricInfoV(struct device *d, struct fabric *fabric) {
  u32 state;
  result answer = ask_u32(d, "fabric", &state);
  if (answer) return answer;
  fabric->state = (unsigned char)state;
  if (ask_u32(d, "fabric_health", &fabric->health)) fabric->health = 0;
  return OK;
}

struct event { struct device *device; u64 type, data; u32 gpu_instance, compute_instance; };

result nvmlDeviceGetSupportedEventTypes(struct device *d, u64 *types) { (void)d; *types = 0x8; return OK; }
result nvmlEventSetCreate(void **set) { delivered = 0; *set = &registered; return OK; }
result nvmlEventSetFree(void *set) { (void)set; registered = 0; return OK; }

result nvmlDeviceRegisterEvents(struct device *d, u64 types, void *set) {
  (void)d; (void)types; (void)set;
  registered = 1;
  return OK;
}

result nvmlEventSetWait_v2(void *set, struct event *event, u32 milliseconds) {
  char value[LONGEST], *rest = value, *word = NULL;
  (void)set; (void)milliseconds;
  result answer = look("events", value, sizeof value);
  if (answer && answer != NOT_SUPPORTED) return answer;
  if (answer || !registered) return TIMED_OUT;
  for (int i = 0; i <= delivered; i++) word = strsep(&rest, ",");
  if (!word) return TIMED_OUT;
  delivered++;
  event->device = &devices[atoi(word)];
  event->type = 0x8;
  event->data = strtoull(strchr(word, ':') + 1, NULL, 10);
  return OK;
}
