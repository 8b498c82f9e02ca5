// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 11: readiness, registrations, and who is told.
//
// Not offered, or of the streams: IO-17, IO-20, IO-23, IO-27. Elsewhere: IO-25, IO-26.

import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

@Suite(.oneAtATime) struct DescriptorTests {
  @Test func `IO-01: a reader is called each turn while its descriptor is readable`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var calls = 0
      try loop.addReader(pair.near) { calls += 1 }
      try await loop.waitAllTasksBlocked()
      #expect(calls == 0)
      try pair.send()
      try await turns { calls >= 3 }
      try pair.receive()
      try await sleep(for: .zero)
      let atEnd = calls
      try await loop.waitAllTasksBlocked()
      // One notice may have stood in the queue when the data was taken.
      #expect(calls <= atEnd + 1)
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-01: a writer is called each turn while there is room`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var calls = 0
      try loop.addWriter(pair.near) { calls += 1 }
      try await turns { calls >= 3 }
      loop.removeWriter(pair.near)
      try pair.fillNear()
      calls = 0
      try loop.addWriter(pair.near) { calls += 1 }
      try await loop.waitAllTasksBlocked()
      #expect(calls == 0)
      try pair.drainFar()
      try await turns { calls > 0 }
      loop.removeWriter(pair.near)
    }
  }

  @Test func `IO-02: a second reader replaces the first`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var first = 0
      var second = 0
      weak var held: Counted?
      do {
        let object = Counted()
        held = object
        try loop.addReader(pair.near) {
          first += 1
          withExtendedLifetime(object) {}
        }
      }
      #expect(held != nil)
      try loop.addReader(pair.near) { second += 1 }
      #expect(held == nil)
      try pair.send()
      try await turns { second > 0 }
      #expect(first == 0)
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-02: a reader that is replaced when it is due does not run`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      let other = try DescriptorPair.sockets()
      var old: [Int] = []
      var new = 0
      // Both are ready in one batch; the one that runs first replaces the other.
      for (index, (mine, its)) in [(pair, other), (other, pair)].enumerated() {
        try loop.addReader(mine.near) {
          old.append(index)
          loop.removeReader(mine.near)
          try loop.addReader(its.near) {
            new += 1
            loop.removeReader(its.near)
          }
        }
      }
      try pair.send()
      try other.send()
      try await turns { new > 0 }
      try await loop.waitAllTasksBlocked()
      #expect(old.count == 1)
      #expect(new == 1)
    }
  }

  @Test func `IO-02: a reader that was there stays when its successor cannot be watched, and is called once a turn`()
    throws
  {
    try inEachOrder { configuration in
      let backend = try RefusingBackend()
      let isRefusing = backend.isRefusing
      try runVirtually(configuration.with(backend: backend)) { loop in
        let pair = try DescriptorPair.sockets()
        var old = 0
        var new = 0
        try loop.addReader(pair.near) { old += 1 }
        isRefusing.change { $0 = true }
        #expect(throws: SystemError(.noMemory, in: "epoll_ctl")) { try loop.addReader(pair.near) { new += 1 } }
        isRefusing.change { $0 = false }
        try pair.send()
        try await turns { old > 0 }
        try loop.addReader(pair.near) { new += 1 }
        old = 0
        try await turns { new > 2 }
        #expect(old == 0)
        let wasThere = loop.removeReader(pair.near)
        #expect(wasThere)
      }
    }
  }

  @Test func `IO-03: a reader and a writer of one descriptor are independent`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var reads = 0
      var writes = 0
      try pair.send()
      try loop.addReader(pair.near) { reads += 1 }
      try loop.addWriter(pair.near) { writes += 1 }
      try await turns { reads > 0 && writes > 0 }
      loop.removeReader(pair.near)
      (reads, writes) = (0, 0)
      try await turns { writes > 2 }
      #expect(reads == 0)
      try loop.addReader(pair.near) { reads += 1 }
      loop.removeWriter(pair.near)
      (reads, writes) = (0, 0)
      try await turns { reads > 2 }
      #expect(writes == 0)
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-04: removing what is not there says false`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var answers = [loop.removeReader(pair.near), loop.removeWriter(pair.near)]
      answers.append(loop.removeReader(FileDescriptor(rawValue: -1)))
      #expect(answers == [false, false, false])
      try loop.addReader(pair.near) {}
      answers = [loop.removeWriter(pair.near), loop.removeReader(pair.near), loop.removeReader(pair.near)]
      #expect(answers == [false, true, false])
    }
  }

  @Test func `IO-05: a reader that removes itself is not called again`() throws {
    try runVirtually { loop in
      let pair = try DescriptorPair.sockets()
      var calls = 0
      try pair.send()
      try loop.addReader(pair.near) {
        calls += 1
        loop.removeReader(pair.near)
      }
      try await turns { calls > 0 }
      try await loop.waitAllTasksBlocked()
      #expect(calls == 1)
    }
  }

  @Test func `IO-06: a callback removes the reader of another ready descriptor`() throws {
    try runVirtually { loop in
      let pairs = try [DescriptorPair.sockets(), DescriptorPair.sockets()]
      var called: [Int] = []
      for (index, pair) in pairs.enumerated() {
        try pair.send()
        try loop.addReader(pair.near) {
          called.append(index)
          for pair in pairs { loop.removeReader(pair.near) }
        }
      }
      try await turns { !called.isEmpty }
      try await loop.waitAllTasksBlocked()
      #expect(called.count == 1)
    }
  }

  @Test func `IO-07: a new descriptor with the number of a closed one gets nothing of the old one`() throws {
    try runInRealTime { loop in
      let pairs = try [DescriptorPair.sockets(), DescriptorPair.sockets()]
      var reused: DescriptorPair?
      var newCalls = 0
      var called = 0
      for (index, pair) in pairs.enumerated() {
        try pair.send()
        try loop.addReader(pair.near) {
          called += 1
          let other = pairs[1 - index]
          let number = other.near
          loop.removeReader(pair.near)
          loop.removeReader(number)
          // The other, which stands ready in this batch, goes; its number comes again, for a silent connection.
          let fresh = try DescriptorPair.sockets()
          _ = try fresh.near.duplicate(as: number)
          try loop.addReader(number) { newCalls += 1 }
          reused = fresh
        }
      }
      try await settle { called > 0 }
      try await lookAround()
      #expect(called == 1)
      #expect(newCalls == 0)
      try reused?.send()
      try await settle { newCalls > 0 }
      for pair in pairs { loop.removeReader(pair.near) }
    }
  }

  @Test func `IO-07: adding a reader for a number that was closed and given away again replaces the old`()
    throws
  {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      let fresh = try DescriptorPair.sockets()
      var old = 0
      var new = 0
      try loop.addReader(pair.near) { old += 1 }
      // dup2 closes what stood there, without a word to the loop.
      _ = try fresh.near.duplicate(as: pair.near)
      try loop.addReader(pair.near) { new += 1 }
      try fresh.send()
      try await settle { new > 0 }
      #expect(old == 0)
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-19: two numbers of one socket can both be watched`() throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      let second = try pair.near.duplicate()
      defer { try? second.close() }
      var calls = [0, 0]
      try loop.addReader(pair.near) { calls[0] += 1 }
      try loop.addReader(second) { calls[1] += 1 }
      try pair.send()
      try await settle { calls[0] > 0 && calls[1] > 0 }
      loop.removeReader(pair.near)
      calls = [0, 0]
      try await settle { calls[1] > 2 }
      #expect(calls[0] == 0)
      loop.removeReader(second)
    }
  }

  @Test func `IO-22: a reader that throws is reported, and stays`() throws {
    try runVirtually { loop in
      struct Failure: Error {}
      let pair = try DescriptorPair.sockets()
      var reports: [ExceptionContext] = []
      loop.exceptionHandler = { reports.append($0) }
      var calls = 0
      try loop.addReader(pair.near) {
        calls += 1
        if calls == 3 { loop.removeReader(pair.near) }
        throw Failure()
      }
      try pair.send()
      try await turns { calls == 3 }
      #expect(reports.map(\.kind) == [.callbackFailed, .callbackFailed, .callbackFailed])
      #expect(reports.allSatisfy { $0.error is Failure })
    }
  }

  @Test func `L-30: closing a loop lets go of its readers and writers`() throws {
    try inEachOrder { configuration in
      let loop = try EventLoop(configuration: configuration)
      let kept = Kept()
      try loop.runUntilComplete { loop in
        let pair = try DescriptorPair.sockets()
        let object = Counted()
        kept.object = object
        try loop.addReader(pair.near) { withExtendedLifetime((object, pair)) {} }
        try loop.addWriter(pair.near) { withExtendedLifetime((object, pair)) {} }
      }
      #expect(kept.object != nil)
      loop.close()
      #expect(kept.object == nil)
    }
  }

  @Test func `L-29: a closed loop takes no readers`() async throws {
    let loop = try EventLoop()
    LoopCloser.close(loop)
    let pair = try DescriptorPair.sockets()
    let near = pair.near
    await #expect(throws: LoopClosedError.self) { try await loop.addReader(near) {} }
    await #expect(throws: LoopClosedError.self) { try await loop.addWriter(near) {} }
    await #expect(throws: LoopClosedError.self) { try await loop.addSignalHandler(1) {} }
    withExtendedLifetime(pair) {}
  }
}

private final class Counted {}

/// Where a test sees, without holding it, whether an object of the loop lives.
private final class Kept: @unchecked Sendable {
  weak var object: Counted?
}

/// Closes a loop from a function that may block, for tests that may not.
enum LoopCloser {
  static func close(_ loop: EventLoop) { loop.close() }
}

/// The real backend, which refuses when it is told to.
private final class RefusingBackend: Backend {
  private let backend: LibEventBackend
  let isRefusing = Shared(false)

  init() throws { backend = try LibEventBackend(precise: false) }

  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    if isRefusing.value { throw SystemError(.noMemory, in: "epoll_ctl") }
    return try backend.watch(descriptor, for: readiness, isOwned: isOwned, notice: notice)
  }

  func wait(_ limit: WaitLimit) { backend.wait(limit) }
}
