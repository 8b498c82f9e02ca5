// SPDX-License-Identifier: Apache-2.0
//
// The wait, and the notices, of the one backend that asks the kernel.

import AsyncIO
import SystemPackage
import Testing

@Suite(.oneAtATime) struct LibEventBackendTests {
  @Test(arguments: [true, false])
  func `a poll comes back at once, and gives the notices of all that is ready`(precise: Bool) throws {
    let backend = try LibEventBackend(precise: precise)
    backend.wait(.poll)
    let pairs = try (0..<3).map { _ in try DescriptorPair.sockets() }
    var notices: [Int] = []
    let watches = try pairs.enumerated().map { index, pair in
      try backend.watch(pair.near, for: .readable) { notices.append(index) }
    }
    backend.wait(.poll)
    #expect(notices == [])
    try pairs[0].send()
    try pairs[2].send()
    backend.wait(.poll)
    #expect(notices.sorted() == [0, 2])
    backend.wait(.poll)
    #expect(notices.count == 4)
    try pairs[0].receive()
    try pairs[2].receive()
    backend.wait(.poll)
    #expect(notices.count == 4)
    for watch in watches { watch.end() }
  }

  @Test(arguments: [true, false])
  func `a limited wait lasts as long as it was told`(precise: Bool) throws {
    let backend = try LibEventBackend(precise: precise)
    for nanoseconds: Int64 in [1, 999, 1_000, 300_000, 20_000_000] {
      let start = ContinuousClock.now
      backend.wait(.nanoseconds(nanoseconds))
      let taken = ContinuousClock.now - start
      #expect(taken >= .nanoseconds(nanoseconds))
      #expect(taken < .seconds(2))
    }
  }

  @Test func `a wait without limit ends with a descriptor, and not with an earlier limit`() throws {
    let backend = try LibEventBackend(precise: true)
    let pair = try DescriptorPair.pipe()
    var notices = 0
    let watch = try backend.watch(pair.near, for: .readable) { notices += 1 }
    try pair.send()
    backend.wait(.nanoseconds(10_000_000))
    #expect(notices == 1)
    try pair.receive()
    // The limit of that wait has not passed yet, and must not end this one.
    let far = pair.far
    let start = ContinuousClock.now
    let thread = TestThread {
      while ContinuousClock.now - start < .milliseconds(25) {}
      _ = try? far.writeAll("x".utf8)
    }
    backend.wait(.forever)
    #expect(ContinuousClock.now - start >= .milliseconds(25))
    #expect(notices == 2)
    thread.join()
    watch.end()
  }

  @Test func `a wait of the longest time is a wait`() throws {
    let backend = try LibEventBackend(precise: false)
    let pair = try DescriptorPair.pipe()
    var notices = 0
    let watch = try backend.watch(pair.near, for: .readable) { notices += 1 }
    try pair.send()
    backend.wait(.nanoseconds(.max))
    #expect(notices == 1)
    watch.end()
  }

  @Test func `a watch that ends inside of a notice gets none in the same wait`() throws {
    let backend = try LibEventBackend(precise: false)
    let pairs = try [DescriptorPair.sockets(), DescriptorPair.sockets()]
    defer { withExtendedLifetime(pairs) {} }
    var notices = 0
    var watches: [any Watch] = []
    for pair in pairs {
      try pair.send()
      watches.append(
        try backend.watch(pair.near, for: .readable) {
          notices += 1
          for watch in watches { watch.end() }
        })
    }
    backend.wait(.poll)
    backend.wait(.poll)
    #expect(notices == 1)
    for watch in watches { watch.end() }
    watches = []
  }

  @Test func `a watch ends with its object`() throws {
    let backend = try LibEventBackend(precise: false)
    let pair = try DescriptorPair.sockets()
    try pair.send()
    var notices = 0
    var watch: (any Watch)? = try backend.watch(pair.near, for: .readable) { notices += 1 }
    backend.wait(.poll)
    #expect(notices == 1)
    #expect(watch != nil)
    watch = nil
    backend.wait(.poll)
    #expect(notices == 1)
  }

  @Test func `a watch keeps its backend, which may be let go of before it`() throws {
    var backend: LibEventBackend? = try LibEventBackend(precise: false)
    let pair = try DescriptorPair.sockets()
    var watch = try backend?.watch(pair.near, for: .readable) {}
    weak let held = backend
    backend = nil
    #expect(held != nil)
    watch?.end()
    watch = nil
    #expect(held == nil)
  }

  @Test func `several watches of one descriptor are all told`() throws {
    let backend = try LibEventBackend(precise: false)
    let pair = try DescriptorPair.sockets()
    var notices = [0, 0, 0]
    let watches = try [
      backend.watch(pair.near, for: .readable) { notices[0] += 1 },
      backend.watch(pair.near, for: .readable) { notices[1] += 1 },
      backend.watch(pair.near, for: .writable) { notices[2] += 1 },
    ]
    try pair.send()
    backend.wait(.poll)
    #expect(notices == [1, 1, 1])
    watches[0].end()
    backend.wait(.poll)
    #expect(notices == [1, 2, 2])
    for watch in watches { watch.end() }
    backend.wait(.poll)
    #expect(notices == [1, 2, 2])
  }

  @Test func `an arrival is told once, to all watches, without anybody reading`() throws {
    let backends = try [LibEventBackend(precise: false), LibEventBackend(precise: true)]
    let wakeUp = try WakeUpDescriptor()
    let descriptor = FileDescriptor(rawValue: wakeUp.rawValue)
    var notices = [0, 0]
    let watches = try backends.enumerated().map { index, backend in
      try backend.watch(descriptor, for: .arrival) { notices[index] += 1 }
    }
    for expected in 1...3 {
      wakeUp.ring()
      for backend in backends {
        backend.wait(.poll)
        backend.wait(.poll)
      }
      #expect(notices == [expected, expected])
    }
    for watch in watches { watch.end() }
  }

  @Test func `what epoll does not take is refused with its errno, and can be tried again`() throws {
    let backend = try LibEventBackend(precise: false)
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readOnly)
    defer { try? null.close() }
    for _ in 0..<3 {
      #expect(throws: SystemError(.notPermitted, in: "epoll_ctl")) {
        try backend.watch(null, for: .readable) {}
      }
      #expect(throws: SystemError(.badFileDescriptor, in: "epoll_ctl")) {
        try backend.watch(FileDescriptor(rawValue: -1), for: .readable) {}
      }
    }
    backend.wait(.poll)
  }

  @Test func `a closed backend watches nothing, and never waits`() throws {
    let backend = ClosedBackend()
    let pair = try DescriptorPair.sockets()
    #expect(throws: SystemError(.badFileDescriptor, in: "epoll_ctl")) {
      try backend.watch(pair.near, for: .readable) {}
    }
    backend.wait(.forever)
  }
}
