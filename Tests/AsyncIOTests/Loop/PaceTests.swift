// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct PaceTests {
  @Test(arguments: [false, true])
  func `L-11: what is ready is told once, however long it takes to serve, and timers come in between`(
    debug: Bool
  ) throws {
    let backend = try CountingBackend()
    let counted = backend.counts.waits
    let clock = VirtualClock()
    var configuration = EventLoop.Configuration.virtual(clock).with(debug: debug)
    unsafe configuration.seams.backend = backend
    let (waits, servedBefore) = try EventLoop.run(configuration: configuration) { loop in
      loop.slowCallbackDuration = .seconds(1)
      let pairs = try (0..<100).map { _ in try DescriptorPair.sockets() }
      var served = 0
      var servedBefore: Int?
      let tasks = pairs.map { pair in
        loop.createTask {
          try await loop.waitReadable(pair.near)
          served += 1
          if served == 5 { loop.callLater(.milliseconds(20)) { servedBefore = served } }
          // The kernel's tick moves with each.
          clock.advance(by: .milliseconds(5))
          try pair.receive()
        }
      }
      try await turns(3)
      for pair in pairs { try pair.send() }
      let before = counted.value
      _ = try await wait(tasks)
      return (counted.value - before, servedBefore)
    }
    // Eight ticks are the most without a look.
    #expect(waits <= 20)
    // Behind what the last look has brought: libevent asks for 32 at first.
    #expect((32..<100).contains(try #require(servedBefore)))
  }

  @Test func `L-11: a batch is of 256 entries at most, whatever its look has brought`() throws {
    let loop = try EventLoop(configuration: .virtual())
    defer { loop.close() }
    let pair = try DescriptorPair.sockets()
    let near = pair.near
    let count = Shared(0)
    try loop.callSoonThreadsafe { loop in
      try loop.addReader(near) { loop.removeReader(near) }
      for _ in 0..<1_000 { loop.callSoon { count.change { $0 += 1 } } }
    }
    loop.stop()
    try loop.runForever()
    #expect(count.value == 0)
    try pair.send()
    loop.stop()
    try loop.runForever()
    #expect(count.value == 256)
  }

  @Test func `a look is due after 256 entries, or after a tick`() {
    var pace = Pace()
    pace.hasLooked(at: 7, bringing: nil)
    pace.haveRun(16)
    pace.hasAsked(for: 7)
    #expect(pace.untilLook == 240 && !pace.hasTicked)
    pace.haveRun(16)
    pace.hasAsked(for: 8)
    #expect(pace.untilLook == 0 && pace.hasTicked)
  }

  @Test func `a look is not due before all that the last one has brought has run`() {
    var pace = Pace()
    pace.hasLooked(at: 7, bringing: 1_000)
    pace.haveRun(600)
    #expect(pace.untilLook == 400)
    pace.hasAsked(for: 8)
    #expect(pace.untilLook == 400 && pace.hasTicked)
    pace.haveRun(400)
    #expect(pace.untilLook == 0 && pace.owed == 0)
  }

  @Test func `a look is due after eight ticks, whatever is owed`() {
    var pace = Pace()
    pace.hasLooked(at: 0, bringing: 1_000)
    for tick in 1...8 {
      #expect(pace.untilLook > 0)
      pace.haveRun(1)
      pace.hasAsked(for: Int64(tick))
    }
    #expect(pace.untilLook == 0 && pace.owed == 992)
    pace.hasLooked(at: 8, bringing: nil)
    #expect(pace.untilLook == 992)
  }

  @Test func `a tick has each entry asked for the next one, then each second one, up to sixteen`() {
    var pace = Pace()
    pace.hasLooked(at: 1, bringing: nil)
    pace.hasAsked(for: 2)
    var strides: [Int] = []
    for _ in 0..<6 {
      strides.append(pace.untilTick)
      pace.haveRun(pace.untilTick)
      pace.hasAsked(for: 2)
    }
    #expect(strides == [1, 2, 4, 8, 16, 16])
  }
}
