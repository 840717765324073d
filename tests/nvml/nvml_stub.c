/* A stand-in for NVIDIA's management library, for tests on machines without a GPU.
 *
 *   cc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o DIR/libnvidia-ml.so.1 nvml_stub.c
 *   NVML_STUB=answers.txt LD_LIBRARY_PATH=DIR python ...
 *
 * Answers are lines "key=value" of the file that $NVML_STUB names, read again at each call, so that
 * they can change while a program runs (replace the file, do not rewrite it). "*.key" holds for
 * every GPU without a line of its own; "!N" makes the call return NVML error N (15: GPU is lost);
 * a key that is absent answers "not supported", as real boards do. init=!9: driver not loaded.
 *
 * nvidia-ml-py looks for libnvidia-ml.so.1 and calls nvmlInitWithFlags, the _v2 of count and
 * handles, the _v3 of PCI info and processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int result;

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       TOO_SMALL = 7, WRONG_VERSION = 25, UNKNOWN = 999 };
enum { MOST = 64, LONGEST = 512, MEMORY_V2 = 0x02000028 };

struct device { u32 index; };
static struct device devices[MOST];
static int sessions;

__attribute__((constructor)) static void number_devices(void) {
  for (u32 i = 0; i < MOST; i++) devices[i].index = i;
}

/* Find a key's value. A line of its own wins over one for every GPU. */
static result look(const char *key, char *value, size_t size) {
  const char *path = getenv("NVML_STUB"), *dot = strchr(key, '.');
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[LONGEST], general[LONGEST] = "";
  int found = 0;
  if (!file) return UNKNOWN;
  if (dot) snprintf(general, sizeof general, "*%s", dot);
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\r\n")] = 0;
    char *equals = strchr(line, '=');
    if (!equals) continue;
    *equals = 0;
    int own = !strcmp(line, key);
    if (own || (found < 2 && *general && !strcmp(line, general))) {
      snprintf(value, size, "%s", equals + 1);
      found = own ? 2 : 1;
    }
  }
  fclose(file);
  if (!found) return NOT_SUPPORTED;
  return value[0] == '!' ? atoi(value + 1) : OK;
}

static result ask(struct device *device, const char *key, char *value, size_t size) {
  char whole[LONGEST];
  if (!sessions) return UNINITIALIZED;
  if (device < devices || device >= devices + MOST) return INVALID;
  snprintf(whole, sizeof whole, "%u.%s", device->index, key);
  return look(whole, value, size);
}

static result ask_number(struct device *device, const char *key, u64 *number) {
  char value[LONGEST];
  result answer = ask(device, key, value, sizeof value);
  if (!answer) *number = strtoull(value, NULL, 0);
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

result nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device) {
  char value[LONGEST];
  if (!sessions) return UNINITIALIZED;
  for (u32 i = 0; i < count(); i++)
    if (!ask(&devices[i], "uuid", value, sizeof value) && !strcmp(value, uuid)) {
      *device = &devices[i];
      return OK;
    }
  return NOT_FOUND;
}

result nvmlDeviceGetIndex(struct device *device, u32 *index) {
  if (!sessions) return UNINITIALIZED;
  *index = device->index;
  return OK;
}

result nvmlDeviceGetName(struct device *d, char *text, u32 size) { return ask_text(d, "name", text, size); }
result nvmlDeviceGetUUID(struct device *d, char *text, u32 size) { return ask_text(d, "uuid", text, size); }
result nvmlDeviceGetPowerUsage(struct device *d, u32 *mw) { return ask_u32(d, "power", mw); }
result nvmlDeviceGetEnforcedPowerLimit(struct device *d, u32 *mw) { return ask_u32(d, "power_limit", mw); }
result nvmlDeviceGetTotalEnergyConsumption(struct device *d, u64 *mj) { return ask_number(d, "energy", mj); }

result nvmlDeviceGetTemperature(struct device *d, u32 sensor, u32 *celsius) {
  (void)sensor;
  return ask_u32(d, "temperature", celsius);
}

result nvmlDeviceGetClockInfo(struct device *d, u32 kind, u32 *mhz) {
  return kind == 1 ? ask_u32(d, "sm_clock", mhz) : NOT_SUPPORTED;
}

result nvmlDeviceGetMaxClockInfo(struct device *d, u32 kind, u32 *mhz) {
  return kind == 1 ? ask_u32(d, "sm_clock_max", mhz) : NOT_SUPPORTED;
}

#ifndef OLD_DRIVER /* before 530 the reasons had another name */
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

/* processes=PID:BYTES,PID:na */
result nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, u32 *number, struct process *found) {
  char value[LONGEST], *rest = value, *word;
  u32 room = *number;
  result answer = ask(d, "processes", value, sizeof value);
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
