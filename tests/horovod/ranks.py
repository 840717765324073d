"""Trains a small network on as many ranks as horovodrun starts, and proves that they work together.

Every rank has other data and begins with other weights; what Horovod does makes the weights equal.
`make horovod-ranks` runs it in the image horovod-cpu.
"""

import time

import horovod.torch as hvd
import torch

BATCH, STEPS = 32, 20


def main() -> None:
    """Train, compare the ranks' weights, and print the rate of all of them."""
    hvd.init()
    rank, size = hvd.rank(), hvd.size()
    print(f"rank {rank} of {size}", flush=True)
    ranks = hvd.allreduce(torch.tensor(float(rank)), op=hvd.Sum).item()
    assert ranks == size * (size - 1) / 2, ranks

    torch.manual_seed(rank)
    network = torch.nn.Sequential(
        torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10)
    )
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(network.parameters(), lr=0.01),
        named_parameters=network.named_parameters(),
    )
    hvd.broadcast_parameters(network.state_dict(), root_rank=0)
    samples, labels = torch.rand(BATCH, 256), torch.randint(0, 10, (BATCH,))
    start = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(samples), labels).backward()
        optimizer.step()
    seconds = time.perf_counter() - start

    weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    everyones = hvd.allgather(weights.unsqueeze(0))
    assert torch.equal(everyones, weights.expand_as(everyones)), "the ranks' weights differ"
    if rank == 0:
        print(f"equal weights on {size} ranks after {STEPS} steps", flush=True)
        print(f"all ranks: {size * BATCH * STEPS / seconds:.1f} samples/s", flush=True)


if __name__ == "__main__":
    main()
