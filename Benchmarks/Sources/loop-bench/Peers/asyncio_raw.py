# SPDX-License-Identifier: Apache-2.0
"""The workloads of loop-bench on asyncio or uvloop.

    python3 asyncio_raw.py asyncio|uvloop WORKLOAD N [REPEATS]

prints the line of `loop-bench raw`. The random delays are drawn before the clock starts: in Python that takes as long as
what is measured.
"""

import asyncio
import concurrent.futures
import sys
import threading
import time

GATHERED = 10_000
POOL_THREADS = 4
IDLE_TIMEOUTS = 100_000
PUSHES_IN_TURN = 64
SECONDS = 30


def delays():
    state = 42
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        yield state >> 33


class Stopwatch:
    def __init__(self):
        self.wall = time.monotonic_ns()
        self.processor = time.process_time_ns()

    def reading(self):
        processor = time.process_time_ns() - self.processor
        return time.monotonic_ns() - self.wall, processor


class Count:
    def __init__(self, n, end):
        self.left = n
        self.end = end

    def down(self):
        self.left -= 1
        if self.left == 0:
            self.end.set_result(None)


async def soon_batch(loop, n):
    watch = Stopwatch()
    count = Count(n, loop.create_future())
    for _ in range(n):
        loop.call_soon(count.down)
    await count.end
    return watch.reading()


async def soon_chain(loop, n):
    count = Count(n, loop.create_future())

    def link():
        count.down()
        if count.left > 0:
            loop.call_soon(link)

    watch = Stopwatch()
    loop.call_soon(link)
    await count.end
    return watch.reading()


async def threadsafe(loop, n):
    count = Count(n, loop.create_future())

    def produce():
        for _ in range(n):
            loop.call_soon_threadsafe(count.down)

    watch = Stopwatch()
    threading.Thread(target=produce).start()
    await count.end
    return watch.reading()


async def timers_fire(loop, n):
    times = [value % 50_000 / 1e6 for _, value in zip(range(n), delays())]
    watch = Stopwatch()
    count = Count(n, loop.create_future())
    for delay in times:
        loop.call_later(delay, count.down)
    await count.end
    return watch.reading()


def permutation(n):
    numbers = list(range(n))
    random = delays()
    for index in range(n - 1, 0, -1):
        other = next(random) % (index + 1)
        numbers[index], numbers[other] = numbers[other], numbers[index]
    return numbers


async def timers_cancel(loop, n, order):
    times = [30 + value % 10_000_000 / 1e6 for _, value in zip(range(n), delays())]
    watch = Stopwatch()
    handles = [loop.call_later(delay, int) for delay in times]
    for index in order:
        handles[index].cancel()
    return watch.reading()


async def timers_cancel_fifo(loop, n):
    return await timers_cancel(loop, n, range(n))


async def timers_cancel_rand(loop, n):
    return await timers_cancel(loop, n, permutation(n))


async def timers_churn(loop, n):
    handles = [loop.call_later(SECONDS, int) for _ in range(IDLE_TIMEOUTS)]
    indices = [value % IDLE_TIMEOUTS for _, value in zip(range(n), delays())]
    watch = Stopwatch()
    for start in range(0, n, PUSHES_IN_TURN):
        for index in indices[start : start + PUSHES_IN_TURN]:
            handles[index].cancel()
            handles[index] = loop.call_later(SECONDS, int)
        await asyncio.sleep(0)
    return watch.reading()


async def nothing():
    pass


async def spawn_await(loop, n):
    watch = Stopwatch()
    for _ in range(n):
        await loop.create_task(nothing())
    return watch.reading()


async def pingpong(loop, n):
    to_ping, to_pong = loop.create_future(), loop.create_future()

    async def answer():
        nonlocal to_pong
        for _ in range(n):
            ball = await to_pong
            to_pong = loop.create_future()
            to_ping.set_result(ball + 1)

    watch = Stopwatch()
    task = loop.create_task(answer())
    for number in range(n):
        to_pong.set_result(number)
        await to_ping
        to_ping = loop.create_future()
    await task
    return watch.reading()


async def gather(loop, n):
    watch = Stopwatch()
    for start in range(0, n, GATHERED):
        await asyncio.gather(*[loop.create_task(nothing()) for _ in range(min(GATHERED, n - start))])
    return watch.reading()


async def sleep_gather(loop, n):
    times = [value % 50_000 / 1e6 for _, value in zip(range(n), delays())]
    watch = Stopwatch()
    await asyncio.gather(*[loop.create_task(asyncio.sleep(delay)) for delay in times])
    return watch.reading()


async def wait_for(loop, n):
    watch = Stopwatch()
    for _ in range(n):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await asyncio.wait_for(future, 60)
    return watch.reading()


def identity(number):
    return number


async def use_pool(loop):
    """The threads are there when the clock starts."""
    pool = concurrent.futures.ThreadPoolExecutor(POOL_THREADS)
    loop.set_default_executor(pool)
    await asyncio.gather(*[loop.run_in_executor(None, time.sleep, 0.01) for _ in range(POOL_THREADS)])


async def run_blocking(loop, n):
    await use_pool(loop)
    watch = Stopwatch()
    for number in range(n):
        await loop.run_in_executor(None, identity, number)
    return watch.reading()


async def run_blocking_many(loop, n):
    await use_pool(loop)
    watch = Stopwatch()
    for start in range(0, n, GATHERED):
        numbers = range(start, min(start + GATHERED, n))
        await asyncio.gather(*[loop.run_in_executor(None, identity, number) for number in numbers])
    return watch.reading()


def peak_kib():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM:"))


async def main(workload, n):
    return await globals()[workload.replace("-", "_")](asyncio.get_running_loop(), n)


def measure(peer, workload, n, repeats):
    if peer == "uvloop":
        import uvloop

        new_loop = uvloop.new_event_loop
    else:
        new_loop = asyncio.new_event_loop
    wall = processor = 0
    for _ in range(repeats):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            reading = runner.run(main(workload, n))
        wall += reading[0]
        processor += reading[1]
    operations = n * repeats
    print(peer, workload, n, operations, wall // operations, processor // operations, peak_kib())


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
