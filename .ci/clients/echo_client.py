#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries a release echo-server from the outside, with the asyncio of Python's standard library.

usage: echo_client.py PATH_OF_ECHO_SERVER [SEED]

One line a check; status 1 if any failed. Loopback only, everything with a time limit.
"""

import asyncio
import contextlib
import os
import random
import re
import resource
import signal
import socket
import struct
import sys
import time

MIB = 1 << 20


class Failure(Exception):
    """What a check found wrong."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Server:
    """A running echo-server, and the port that it says."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    @property
    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def settle(self, descriptors):
        """Waits until the server has closed all but so many descriptors."""
        for _ in range(100):
            if self.descriptors <= descriptors:
                return
            await asyncio.sleep(0.05)
        raise Failure(f"{self.descriptors} descriptors are open, {descriptors} were before")


@contextlib.asynccontextmanager
async def running(binary, descriptor_limit=None):
    """Starts a server on any port; at the end sends SIGTERM, and expects status 0 and no other output."""

    def limit():
        if descriptor_limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor_limit, descriptor_limit))

    process = await asyncio.create_subprocess_exec(
        binary, "--port", "0", preexec_fn=limit,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        expect(match, f"the first line is {line!r}")
        yield Server(process, int(match.group(1)))
        expect(process.returncode is None, f"the server has ended, with status {process.returncode}")
        process.terminate()
        await asyncio.wait_for(process.wait(), 5)
        expect(process.returncode == 0, f"status {process.returncode} after SIGTERM")
        rest = await process.stdout.read()
        expect(not rest, f"more than one line on standard output: {rest!r}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def echo(server, data, rng):
    """Writes in pieces of random sizes while reading; then half-closes, and reads to the end."""
    reader, writer = await server.connect()
    try:

        async def write():
            position = 0
            while position < len(data):
                size = rng.choice((1, rng.randint(1, 1000), rng.randint(1, 200_000)))
                writer.write(data[position:position + size])
                position += size
                await writer.drain()
                if rng.random() < 0.05:
                    await asyncio.sleep(0)
            writer.write_eof()

        writing = asyncio.create_task(write())
        received = bytearray()
        while chunk := await reader.read(rng.randint(1, 100_000)):
            received += chunk
        await writing
        expect(received == data, f"sent {len(data)} bytes, got {len(received)}, not the same")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def many_clients(binary, rng):
    """200 clients at once, 0 bytes to 1 MiB each: the same bytes, then the end"""
    async with running(binary) as server:
        before = server.descriptors
        sizes = [0, 1, 65_536, 65_537, MIB] + [rng.randint(0, MIB) for _ in range(195)]
        await asyncio.gather(*(echo(server, rng.randbytes(size), rng) for size in sizes))
        await server.settle(before)
        return f"{sum(sizes) / MIB:.0f} MiB, no descriptor left over"


async def round_trips(binary, rng):
    """500 clients that send small messages back to back: nobody starves, nothing is lost"""
    async with running(binary) as server:
        before = server.descriptors

        async def play(index):
            reader, writer = await server.connect()
            for number in range(100):
                message = struct.pack("II", index, number)
                writer.write(message)
                expect(await reader.readexactly(8) == message, "an answer is not what was sent")
            writer.close()

        for _ in range(2):
            await asyncio.gather(*(play(index) for index in range(500)))
        await server.settle(before)


async def resets(binary, rng):
    """50 clients that reset in mid-stream: the others do not notice"""
    async with running(binary) as server:
        before = server.descriptors

        async def reset():
            reader, writer = await server.connect()
            writer.write(rng.randbytes(rng.randint(1, 4 * MIB)))
            await asyncio.sleep(rng.random() * 0.2)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(rng.randint(1, 100_000)), 0.1)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

        await asyncio.gather(
            *(reset() for _ in range(50)), *(echo(server, rng.randbytes(300_000), rng) for _ in range(20)))
        await server.settle(before)
        return "20 others served, no descriptor left over"


async def deaf_client(binary, rng):
    """a client that sends 64 MiB and does not read: the others are served, and little memory is held"""
    async with running(binary) as server:
        await echo(server, rng.randbytes(MIB), rng)
        before, descriptors = server.resident, server.descriptors
        block = rng.randbytes(MIB)
        reader, writer = await server.connect()
        sent = 0
        with contextlib.suppress(asyncio.TimeoutError):
            while sent < 64:
                writer.write(block)
                sent += 1
                await asyncio.wait_for(writer.drain(), 1)
        start = server.processor_seconds
        await asyncio.gather(*(echo(server, rng.randbytes(100_000), rng) for _ in range(20)))
        growth = server.resident - before
        expect(growth < 8 * MIB, f"the server grew by {growth / MIB:.1f} MiB")
        await asyncio.sleep(1)
        used = server.processor_seconds - start
        expect(used < 0.8, f"the server used {used} s of CPU")

        # Now it reads after all, and gets everything.
        async def write_the_rest():
            for _ in range(64 - sent):
                writer.write(block)
                await writer.drain()
            writer.write_eof()

        writing = asyncio.create_task(write_the_rest())
        for index in range(64):
            expect(await reader.readexactly(MIB) == block, f"MiB {index} is not what was sent")
        expect(await reader.read(1) == b"", "more came back than was sent")
        await writing
        writer.close()
        await server.settle(descriptors)
        return f"grew by {growth / MIB:.1f} MiB; then read all of its 64 MiB"


async def out_of_descriptors(binary, rng):
    """more clients than descriptors: those that are in are served, the others wait, and get their turn"""
    async with running(binary, descriptor_limit=40) as server:
        base = server.descriptors
        clients = [await server.connect() for _ in range(60)]
        await asyncio.sleep(0.5)
        start = server.processor_seconds
        _, writer = clients[0]
        writer.write(b"first")
        expect(await clients[0][0].readexactly(5) == b"first", "the first client got something else")
        await asyncio.sleep(2)
        used = server.processor_seconds - start
        expect(used < 0.2, f"the server used {used:.2f} s of CPU while it was full")
        for _, writer in clients[:40]:
            writer.close()
        for reader, writer in clients[40:]:
            writer.write(b"late")
            expect(await reader.readexactly(4) == b"late", "a late client got something else")
            writer.close()
        await server.settle(base)
        server.process.terminate()
        reports = (await server.process.stderr.read()).decode().splitlines()
        await server.process.wait()
        expect(server.process.returncode == 0, f"status {server.process.returncode}")
        expect(len(reports) == 1 and "Too many open files" in reports[0], f"reports: {reports}")
        raise Done(f"one report, {used:.2f} s of CPU")


class Done(Exception):
    """The end of a check that has ended its server itself."""


async def refused(binary, *arguments, text):
    process = await asyncio.create_subprocess_exec(
        binary, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = errors.decode().splitlines()
    expect(process.returncode == 1, f"{arguments}: status {process.returncode}: {lines}")
    expect(output == b"", f"{arguments}: standard output has {output!r}")
    expect(len(lines) == 1, f"{arguments}: standard error has {lines}")
    expect(text in lines[0], f"{arguments}: standard error says {lines[0]!r}")


async def port_in_use(binary, rng):
    """a port in use: one line on standard error, status 1"""
    async with running(binary) as server:
        await refused(binary, "--port", str(server.port), text="Address already in use")


async def bad_arguments(binary, rng):
    """a bad host or port: one line on standard error, status 1"""
    await refused(binary, "--host", "no such host", "--port", "0", text="no such host")
    await refused(binary, "--host", "256.0.0.1", "--port", "0", text="256.0.0.1")
    await refused(binary, "--host", "", "--port", "0", text="host")
    await refused(binary, "--host", "192.0.2.1", "--port", "0", text="192.0.2.1")
    await refused(binary, "--port", "65536", text="65536")
    await refused(binary, "--port", "-1", text="-1")


async def ends_by(binary, number, clients):
    async with running(binary) as server:
        connections = [await server.connect() for _ in range(clients)]
        for index, (reader, writer) in enumerate(connections):
            if index % 3 == 0:  # Some idle, some served, some deaf.
                writer.write(b"x")
                await reader.readexactly(1)
            elif index % 3 == 1:
                writer.write(bytes(8 * MIB))
        await asyncio.sleep(0.2)
        start = time.monotonic()
        server.process.send_signal(number)
        await asyncio.wait_for(server.process.wait(), 5)
        seconds = time.monotonic() - start
        expect(server.process.returncode == 0, f"status {server.process.returncode}")
        expect(seconds < 2, f"it took {seconds:.2f} s")
        errors = await server.process.stderr.read()
        expect(not errors, f"standard error has {errors!r}")
        for _, writer in connections:
            writer.transport.abort()
        raise Done(f"{seconds * 1000:.0f} ms")


async def sigterm(binary, rng):
    """SIGTERM with 20 clients connected: status 0 within two seconds"""
    await ends_by(binary, signal.SIGTERM, 20)


async def sigint(binary, rng):
    """SIGINT with 20 clients connected: status 0 within two seconds"""
    await ends_by(binary, signal.SIGINT, 20)


async def sigterm_idle(binary, rng):
    """SIGTERM with nobody connected: status 0 within two seconds"""
    await ends_by(binary, signal.SIGTERM, 0)


CHECKS = [
    many_clients, round_trips, resets, deaf_client, out_of_descriptors,
    port_in_use, bad_arguments, sigterm, sigint, sigterm_idle,
]


async def main(binary, seed):
    # Some machines begin with 1024, of which the checks use about the half.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 <= hard < 4096 else 4096, hard))
    print(f"echo_client.py: seed {seed}", flush=True)
    failures = 0
    for check in CHECKS:
        start = time.monotonic()
        note = None
        try:
            note = await asyncio.wait_for(check(binary, random.Random(seed)), 120)
            result = "ok"
        except Done as done:
            result, note = "ok", str(done)
        except Exception as error:  # Whatever it is, the check failed.
            failures += 1
            result, note = "FAILED", f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - start
        print(f"{result:6} {seconds:5.1f} s  {check.__doc__}{f' ({note})' if note else ''}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    given_seed = int(sys.argv[2]) if len(sys.argv) == 3 else random.randrange(1 << 32)
    sys.exit(asyncio.run(main(sys.argv[1], given_seed)))
