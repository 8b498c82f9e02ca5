// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 11: IO-25, sockets that block; IO-26, the notice that a descriptor is about to be closed.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct DescriptorClosingTests {
  private func setBlocking(_ descriptor: FileDescriptor) {
    _ = fcntl(descriptor.rawValue, F_SETFL, fcntl(descriptor.rawValue, F_GETFL) & ~O_NONBLOCK)
  }

  // MARK: IO-25

  @Test func `IO-25: in debug mode a socket that blocks is refused, with the cure`() throws {
    try runInRealTime(.init().with(debug: true)) { loop in
      let pair = try DescriptorPair.sockets()
      setBlocking(pair.near)
      var errors: [String] = []
      for body in [
        { try loop.addReader(pair.near) {} }, { try loop.addWriter(pair.near) {} },
      ] as [() throws -> Void] {
        let error = #expect(throws: InvalidArgumentError.self) { try body() }
        errors.append(error?.description ?? "")
      }
      await #expect(throws: InvalidArgumentError.self) { try await loop.waitReadable(pair.near) }
      await #expect(throws: InvalidArgumentError.self) { try await loop.waitWritable(pair.near) }
      #expect(errors.allSatisfy { $0.contains("descriptor \(pair.near.rawValue)") && $0.contains("O_NONBLOCK") })
      // Nothing was begun.
      let removed = [loop.removeReader(pair.near), loop.removeWriter(pair.near)]
      #expect(removed == [false, false])
      #expect(loop.interests.isEmpty)
      // The cure.
      _ = fcntl(pair.near.rawValue, F_SETFL, O_NONBLOCK)
      try await loop.waitWritable(pair.near)
    }
  }

  @Test func `IO-25: a reader that was there stays when its successor is refused`() throws {
    try runInRealTime(.init().with(debug: true)) { loop in
      let pair = try DescriptorPair.sockets()
      var calls = 0
      try loop.addReader(pair.near) { calls += 1 }
      setBlocking(pair.near)
      #expect(throws: InvalidArgumentError.self) { try loop.addReader(pair.near) {} }
      try pair.send()
      try await settle { calls > 0 }
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-25: pipes may block, and sockets without debug mode; what is closed is the kernel's to say`() throws {
    try runInRealTime(.init().with(debug: true)) { loop in
      let pipe = try DescriptorPair.pipe()
      setBlocking(pipe.near)
      try pipe.send()
      try await loop.waitReadable(pipe.near)
      let pair = try DescriptorPair.sockets()
      let number = pair.near
      try pair.closeNear()
      #expect(throws: SystemError(.badFileDescriptor, in: "epoll_ctl")) { try loop.addReader(number) {} }
      loop.debug = false
      let other = try DescriptorPair.sockets()
      setBlocking(other.near)
      try other.send()
      try await loop.waitReadable(other.near)
    }
  }

  // MARK: IO-26

  @Test func `IO-26: all who wait get a closed error, and the next owner of the number is not told of it`() throws {
    let backend = try CountingBackend()
    let counts = backend.counts
    try EventLoop.run(configuration: .on(backend)) { loop in
      let pair = try DescriptorPair.sockets()
      try pair.fillNear()
      let before = counts.watches.value
      let waits = (0..<4).map { number in
        loop.createTask {
          if number % 2 == 0 { try await loop.waitReadable(pair.near) } else { try await loop.waitWritable(pair.near) }
        }
      }
      try await turns(2)
      #expect(counts.watches.value == before + 4)
      let number = pair.near
      loop.descriptorWillClose(number)
      // Before any of them has gone on.
      #expect(counts.watches.value == before)
      #expect(loop.interests.isEmpty)
      try pair.closeNear()
      let other = try DescriptorPair.sockets()
      let (mine, its) = other.near == number ? (other.near, other.far) : (other.far, other.near)
      #expect(mine == number)
      let next = loop.createTask { try await loop.waitReadable(mine) }
      for wait in waits { await #expect(throws: DescriptorClosedError.self) { try await wait.value } }
      try await turns(2)
      #expect(!next.isDone)
      try its.writeAll("x".utf8)
      try await next.value
      #expect(counts.watches.value == before)
    }
  }

  @Test func `IO-26: reader and writer are removed, also those that are due in the same batch`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let other = try DescriptorPair.sockets()
      var calls: [Int] = []
      // Whichever runs first gives notice of the other one.
      for (number, (mine, its)) in [(pair, other), (other, pair)].enumerated() {
        let callback = {
          calls.append(number)
          loop.descriptorWillClose(its.near)
          loop.descriptorWillClose(mine.near)
        }
        try loop.addReader(mine.near, callback)
        try loop.addWriter(mine.near, callback)
        try mine.send()
      }
      try await turns { !calls.isEmpty }
      try await loop.waitAllTasksBlocked()
      #expect(calls.count == 1)
      let removed = [pair.near, other.near].flatMap { [loop.removeReader($0), loop.removeWriter($0)] }
      #expect(removed == [false, false, false, false])
    }
  }

  @Test(arguments: [true, false])
  func `IO-26: notice and readiness in one turn, in both orders`(isReaderFirst: Bool) throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let notice = { loop.descriptorWillClose(pair.near) }
      if isReaderFirst { try loop.addReader(pair.near, notice) }
      let wait = loop.createTask { try await loop.waitReadable(pair.near) }
      try await turns()
      if !isReaderFirst { try loop.addReader(pair.near, notice) }
      try pair.send()
      let result = await outcome(of: wait)
      #expect(loop.interests.isEmpty)
      try pair.closeNear()
      let removed = loop.removeReader(pair.near)
      #expect(!removed)
      // Readiness that was seen first is told, and the notice that comes before the task goes on counts.
      #expect(["()", "\(DescriptorClosedError())"].contains(result))
    }
  }

  @Test func `IO-26: a notice after the wake-up, before the task goes on, is told`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let wait = ReadinessWait(pair.near, .readable, isOwned: false, on: loop)
      loop.note(wait, in: pair.near)
      let task = loop.createTask { try await wait.untilReady() }
      try await turns()
      #expect(wait.wake())
      loop.descriptorWillClose(pair.near)
      try pair.closeNear()
      await #expect(throws: DescriptorClosedError.self) { try await task.value }
    }
  }

  @Test(arguments: [true, false])
  func `IO-26: notice and cancel in one turn: the cancel is heard, in both orders`(isCancelFirst: Bool) throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let wait = loop.createTask { try await loop.waitReadable(pair.near) }
      try await turns()
      if isCancelFirst { wait.cancel() }
      loop.descriptorWillClose(pair.near)
      if !isCancelFirst { wait.cancel() }
      try pair.closeNear()
      let other = try DescriptorPair.sockets()
      #expect(await outcome(of: wait) == "cancelled")
      #expect(loop.interests.isEmpty)
      try withExtendedLifetime(other) { try other.send() }
    }
  }

  @Test func `IO-26: a child of Swift's that waits is told, too`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let near = pair.near
      let task = loop.createTask {
        async let child: Void = loop.waitReadable(near)
        try await child
      }
      try await turns { !loop.interests.isEmpty }
      try await turns(2)
      loop.descriptorWillClose(pair.near)
      try pair.closeNear()
      await #expect(throws: DescriptorClosedError.self) { try await task.value }
    }
  }

  @Test func `IO-26: a notice that concerns nobody does nothing`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      loop.descriptorWillClose(pair.near)
      loop.descriptorWillClose(FileDescriptor(rawValue: -1))
      try pair.send()
      try await loop.waitReadable(pair.near)
      #expect(loop.interests.isEmpty)
    }
  }
}
