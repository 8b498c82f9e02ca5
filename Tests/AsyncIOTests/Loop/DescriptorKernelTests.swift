// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 11: what the kernel does to descriptors that are watched, and what a loop makes of it.

import AsyncIO
import Glibc
import SystemPackage
import Testing

// One after the other: they measure processor time.
@Suite(.oneAtATime) struct DescriptorKernelTests {
  /// A hundred milliseconds of a loop that waits cost next to nothing; of one that spins, tens of milliseconds.
  static let idle: Duration = .milliseconds(12)

  @Test(arguments: [true, false])
  func `IO-09: a duplicated descriptor is removed and closed, in either order: no event, no spin`(
    isRemovedFirst: Bool
  ) throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      let copy = try pair.near.duplicate()
      defer { try? copy.close() }
      var calls = 0
      try loop.addReader(pair.near) { calls += 1 }
      if isRemovedFirst { loop.removeReader(pair.near) }
      try pair.closeNear()
      if !isRemovedFirst { loop.removeReader(pair.near) }
      try pair.send()
      let time = try await idleProcessorTime()
      #expect(calls == 0)
      #expect(time < Self.idle)
      // The others are still watched.
      let other = try DescriptorPair.sockets()
      try loop.addReader(other.near) { calls += 1 }
      try other.send()
      try await settle { calls > 0 }
      loop.removeReader(other.near)
    }
  }

  @Test func `IO-10: a child process holds a copy of a descriptor that was removed: no event, no spin`()
    throws
  {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      _ = fcntl(pair.near.rawValue, F_SETFD, 0)
      var calls = 0
      try loop.addReader(pair.near) { calls += 1 }
      let child = try ChildProgram.start("/bin/sleep", ["10"])
      defer { child.kill() }
      loop.removeReader(pair.near)
      try pair.closeNear()
      // The connection is open still, at the child's.
      try pair.send()
      let time = try await idleProcessorTime()
      #expect(calls == 0)
      #expect(time < Self.idle)
    }
  }

  @Test(arguments: [-1, -2, Int32.min, Int32.max, 1_000_000])
  func `IO-11: a number that is no descriptor is refused`(number: Int32) throws {
    try runInRealTime { loop in
      let descriptor = FileDescriptor(rawValue: number)
      let expected = SystemError(.badFileDescriptor, in: "epoll_ctl")
      #expect(throws: expected) { try loop.addReader(descriptor) {} }
      #expect(throws: expected) { try loop.addWriter(descriptor) {} }
      await #expect(throws: expected) { try await loop.waitReadable(descriptor) }
      let wasThere = loop.removeReader(descriptor)
      #expect(!wasThere)
      try await Self.checkThatItWorks(loop)
    }
  }

  @Test func `IO-11: a closed descriptor is refused`() throws {
    try runInRealTime { loop in
      // Far above the numbers that tests running beside this one get.
      let descriptor = FileDescriptor(rawValue: 9_000)
      let pair = try DescriptorPair.sockets()
      _ = try pair.near.duplicate(as: descriptor)
      try loop.addReader(descriptor) {}
      loop.removeReader(descriptor)
      try descriptor.close()
      #expect(throws: SystemError(.badFileDescriptor, in: "epoll_ctl")) { try loop.addReader(descriptor) {} }
      try await Self.checkThatItWorks(loop)
    }
  }

  @Test(arguments: ["/proc/self/exe", "/dev/null", "/"])
  func `IO-12: what is always ready is refused with EPERM`(path: String) throws {
    try runInRealTime { loop in
      let descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
      defer { try? descriptor.close() }
      let expected = SystemError(.notPermitted, in: "epoll_ctl")
      #expect(throws: expected) { try loop.addReader(descriptor) {} }
      #expect(throws: expected) { try loop.addWriter(descriptor) {} }
      await #expect(throws: expected) { try await loop.waitReadable(descriptor) }
      let wasThere = loop.removeReader(descriptor) || loop.removeWriter(descriptor)
      #expect(!wasThere)
      try await Self.checkThatItWorks(loop)
    }
  }

  @Test func `IO-12: a refused reader takes the place of none`() throws {
    try runInRealTime { loop in
      // The reader that was there is gone: its descriptor is no more what it was.
      let pair = try DescriptorPair.sockets()
      let number = try pair.near.duplicate()
      defer { try? number.close() }
      var calls = 0
      try loop.addReader(number) { calls += 1 }
      let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
      defer { try? null.close() }
      _ = try null.duplicate(as: number)
      #expect(throws: SystemError(.notPermitted, in: "epoll_ctl")) { try loop.addReader(number) {} }
      let wasThere = loop.removeReader(number)
      #expect(!wasThere)
      try pair.send()
      try await lookAround()
      #expect(calls == 0)
      try await Self.checkThatItWorks(loop)
    }
  }

  @Test(arguments: [true, false])
  func `IO-13: a half-closed peer reads as the end of the stream, and costs nothing unwatched`(tcp: Bool)
    throws
  {
    try runInRealTime { loop in
      let pair = try tcp ? DescriptorPair.tcp() : DescriptorPair.sockets()
      try pair.send("last words")
      pair.shutDownFar()
      var texts: [String] = []
      try loop.addReader(pair.near) {
        texts.append(try pair.receive(4))
        if texts.last == "" { loop.removeReader(pair.near) }
      }
      try await settle { texts.last == "" }
      #expect(texts == ["last", " wor", "ds", ""])
      #expect(try await idleProcessorTime() < Self.idle)
      // The other direction is open.
      try pair.near.writeAll("answer".utf8)
      try await loop.waitReadable(pair.far)
      #expect(try DescriptorPair.read(pair.far) == "answer")
      try pair.closeFar()
      // Hung up on both sides now, and nobody watches.
      #expect(try await idleProcessorTime() < Self.idle)
    }
  }

  @Test(arguments: ["unix", "tcp", "reset"])
  func `IO-14: a hang-up is told to a writer that waits alone`(kind: String) throws {
    try runInRealTime { loop in
      let pair = try kind == "unix" ? DescriptorPair.sockets() : DescriptorPair.tcp()
      try pair.fillNear()
      var calls = 0
      try loop.addWriter(pair.near) {
        calls += 1
        loop.removeWriter(pair.near)
      }
      try await linger()
      if calls > 0 {
        // TCP's buffers grow: fill them again, now that they have.
        try pair.fillNear()
        calls = 0
        try loop.addWriter(pair.near) {
          calls += 1
          loop.removeWriter(pair.near)
        }
      }
      if kind == "unix" { try pair.closeFar() } else { try pair.resetFar() }
      try await settle { calls > 0 }
      #expect(calls == 1)
      #expect(try await idleProcessorTime() < Self.idle)
    }
  }

  @Test func `IO-14: a reader and a writer are both told of a hang-up`() throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      try pair.fillNear()
      var told: Set<String> = []
      try loop.addReader(pair.near) {
        told.insert("reader")
        loop.removeReader(pair.near)
      }
      try loop.addWriter(pair.near) {
        told.insert("writer")
        loop.removeWriter(pair.near)
      }
      try await linger()
      #expect(told.isEmpty)
      try pair.closeFar()
      try await settle { told.count == 2 }
      #expect(try await idleProcessorTime() < Self.idle)
    }
  }

  @Test func `IO-15: a unix peer closes with data unread: the data, then the end, then silence`() throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.sockets()
      try pair.send(String(repeating: "a", count: 10_000))
      try pair.closeFar()
      var count = 0
      var hasEnded = false
      try loop.addReader(pair.near) {
        let text = try pair.receive(999)
        count += text.utf8.count
        if text.isEmpty {
          hasEnded = true
          loop.removeReader(pair.near)
        }
      }
      try await settle { hasEnded }
      #expect(count == 10_000)
      #expect(try await idleProcessorTime() < Self.idle)
    }
  }

  @Test func `IO-16: urgent data is no end of the stream, and no spin`() throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.tcp()
      var texts: [String] = []
      try loop.addReader(pair.near) { texts.append(try pair.receive()) }
      var byte = UInt8(ascii: "!")
      #expect(unsafe send(pair.far.rawValue, &byte, 1, Int32(MSG_OOB)) == 1)
      let time = try await idleProcessorTime()
      #expect(texts.isEmpty)
      #expect(time < Self.idle)
      try pair.send("plain")
      try await settle { !texts.isEmpty }
      #expect(texts == ["plain"])
      loop.removeReader(pair.near)
    }
  }

  @Test func `IO-18: the epoll descriptor of another loop is readable while that has something ready`() throws {
    let inner = try EventLoop()
    defer { inner.close() }
    let pair = try DescriptorPair.sockets()
    // Which of the process's epolls is the inner loop's: the one that knows the pair's number.
    let near = pair.near
    try inner.runUntilComplete { loop in try loop.addReader(near) { _ = try? DescriptorPair.read(near) } }
    let epoll = try #require(
      ProcessFacts.descriptors.first { $0.value.contains("eventpoll") && Self.knows($0.key, near.rawValue) }?
        .key)
    let far = pair.far
    try runInRealTime { loop in
      var calls = 0
      try loop.addReader(FileDescriptor(rawValue: epoll)) { calls += 1 }
      try await linger()
      #expect(calls == 0)
      try far.writeAll("x".utf8)
      try await settle { calls > 0 }
      loop.removeReader(FileDescriptor(rawValue: epoll))
    }
    withExtendedLifetime(pair) {}
  }

  @Test func `IO-21: ten thousand ready descriptors are all served, and evenly`() throws {
    try runInRealTime { loop in
      let pair = try DescriptorPair.pipe()
      try pair.send()
      var copies: [FileDescriptor] = []
      defer { for copy in copies { try? copy.close() } }
      // 10,000, where the process may have as many beside those of the other tests.
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      for _ in 0..<min(10_000, Int(limit.rlim_cur) / 2) { copies.append(try pair.near.duplicate()) }
      var calls = [Int](repeating: 0, count: copies.count)
      var unserved = copies.count
      var mostCalls = 0
      for (index, copy) in copies.enumerated() {
        try loop.addReader(copy) {
          if calls[index] == 0 { unserved -= 1 }
          calls[index] += 1
          if unserved > 0 { mostCalls = max(mostCalls, calls[index]) }
        }
      }
      try await settle { unserved == 0 }
      // libevent asks for 32 at first, and for twice as many each time that all of them were ready.
      #expect(mostCalls <= 20)
      for copy in copies { loop.removeReader(copy) }
    }
  }

  private static func checkThatItWorks(_ loop: isolated EventLoop) async throws {
    let pair = try DescriptorPair.sockets()
    var calls = 0
    try loop.addReader(pair.near) { calls += 1 }
    try pair.send()
    try await settle { calls > 0 }
    loop.removeReader(pair.near)
  }

  /// Whether an epoll descriptor has a number in its set.
  private static func knows(_ epoll: Int32, _ number: Int32) -> Bool {
    guard let file = try? FileDescriptor.open(FilePath("/proc/self/fdinfo/\(epoll)"), .readOnly) else {
      return false
    }
    defer { try? file.close() }
    let text = (try? DescriptorPair.read(file, 65_536)) ?? ""
    return text.split(separator: "\n").contains { line in
      line.split(separator: " ", omittingEmptySubsequences: true).prefix(2) == ["tfd:", "\(number)"]
    }
  }
}
