// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct PaceTests {
  @Test func `L-11: what is ready is told once, however long it takes to serve, and timers come in between`() throws {
    let backend = try CountingBackend()
    let counted = backend.counts.waits
    let clock = VirtualClock()
    var configuration = EventLoop.Configuration.virtual(clock)
    unsafe configuration.seams.backend = backend
    let (waits, servedBefore) = try EventLoop.run(configuration: configuration) { loop in
      let pairs = try (0..<100).map { _ in try DescriptorPair.sockets() }
      var served = 0
      var servedBefore: Int?
      let tasks = pairs.map { pair in
        loop.createTask {
          try await loop.waitReadable(pair.near)
          // The kernel's tick moves with each.
          clock.advance(by: .milliseconds(5))
          try pair.receive()
          served += 1
        }
      }
      try await turns(3)
      for pair in pairs { try pair.send() }
      let before = counted.value
      loop.callLater(.milliseconds(50)) { servedBefore = served }
      _ = try await wait(tasks)
      return (counted.value - before, servedBefore)
    }
    // libevent asks for 32 at first, and for more when there were as many.
    #expect(waits <= 5)
    #expect((servedBefore ?? 100) <= 64)
  }

  @Test func `a look is due after 256 entries, or after a tick`() {
    var pace = Pace()
    pace.hasLooked(at: 7)
    pace.haveRun(16)
    pace.hasAsked(for: 7)
    #expect(pace.untilLook == 240 && !pace.hasTicked)
    pace.haveRun(16)
    pace.hasAsked(for: 8)
    #expect(pace.untilLook == 0 && pace.hasTicked)
  }

  @Test func `a look is not due before all that the last one has brought has run`() {
    var pace = Pace()
    pace.owed = 1_000
    pace.hasLooked(at: 7)
    pace.haveRun(600)
    #expect(pace.untilLook == 400)
    pace.hasAsked(for: 8)
    #expect(pace.untilLook == 400 && pace.hasTicked)
    pace.haveRun(400)
    #expect(pace.untilLook == 0 && pace.owed == 0)
  }

  @Test func `a tick has each entry asked for the next one, then each second one, up to sixteen`() {
    var pace = Pace()
    pace.hasLooked(at: 1)
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
