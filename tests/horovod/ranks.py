"""Trains a small network on as many ranks as horovodrun starts, and proves that they work together.

Every rank has other data and begins with other weights; what Horovod does makes the weights equal.
After three steps losses and weights must be those of one rank with the samples of all.
`make horovod-ranks` runs it in the image horovod-cpu.
"""

import time

import horovod.torch as hvd
import torch

BATCH, STEPS = 32, 20
COMPARED = 3
LOSS, WEIGHTS = 1e-5, 1e-4  # relative


def network() -> torch.nn.Sequential:
    """Return the network with random weights."""
    return torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))


def step(model, optimizer, samples, labels) -> torch.Tensor:
    """Take a training step; return its loss."""
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(samples), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def flat(model) -> torch.Tensor:
    """Return all weights as a vector."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def compare(model, optimizer, samples, labels) -> None:
    """Take some steps, and the same ones on one rank with the samples of all."""
    single = network()
    single.load_state_dict(model.state_dict())
    before = flat(single)
    plain = torch.optim.SGD(single.parameters(), lr=0.01)
    everything = hvd.allgather(samples), hvd.allgather(labels)
    for number in range(COMPARED):
        several = hvd.allreduce(step(model, optimizer, samples, labels)).item()
        one = step(single, plain, *everything).item()
        assert abs(several - one) <= LOSS * abs(one), (number, several, one)
    moved = (flat(single) - before).abs().max()
    apart = (flat(model) - flat(single)).abs().max()
    # Relative to how far they moved, which a rank that does not exchange would get wrong.
    assert apart <= WEIGHTS * moved, (apart, moved)
    print(f"rank {hvd.rank()}: weights moved by {moved:.3g}, {apart / moved:.1e} of it apart")


def main() -> None:
    """Train, compare the ranks' weights, and print the rate of all of them."""
    hvd.init()
    rank, size = hvd.rank(), hvd.size()
    print(f"rank {rank} of {size}", flush=True)
    ranks = hvd.allreduce(torch.tensor(float(rank)), op=hvd.Sum).item()
    assert ranks == size * (size - 1) / 2, ranks

    torch.manual_seed(rank)
    model = network()
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01),
        named_parameters=model.named_parameters(),
    )
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    samples, labels = torch.rand(BATCH, 256), torch.randint(0, 10, (BATCH,))
    compare(model, optimizer, samples, labels)
    start = time.perf_counter()
    for _ in range(STEPS):
        step(model, optimizer, samples, labels)
    seconds = time.perf_counter() - start

    weights = flat(model)
    everyones = hvd.allgather(weights.unsqueeze(0))
    assert torch.equal(everyones, weights.expand_as(everyones)), "the ranks' weights differ"
    if rank == 0:
        print(f"equal weights on {size} ranks after {STEPS} steps", flush=True)
        print(f"all ranks: {size * BATCH * STEPS / seconds:.1f} samples/s", flush=True)


if __name__ == "__main__":
    main()
