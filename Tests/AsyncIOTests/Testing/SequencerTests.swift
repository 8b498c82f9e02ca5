// SPDX-License-Identifier: Apache-2.0
//
// Pieces of tasks in a written order.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SequencerTests {
  @Test func `pieces of several tasks run in the order of their numbers, in the order of every seed`() throws {
    try TestLoop.run(seeds: 0..<200) { loop in
      let step = Sequencer()
      var log: [Int] = []
      let a = loop.createTask {
        try await step(0) { log.append(0) }
        try await step(3) {
          try await sleep(for: .seconds(1))
          log.append(3)
        }
      }
      let b = loop.createTask {
        try await step(1) { log.append(1) }
        try await step(2) { log.append(2) }
        try await step(4) { log.append(4) }
      }
      _ = try await gather(a, b)
      #expect(log == [0, 1, 2, 3, 4])
    }
  }

  @Test func `a number is used once, and a piece that fails has ended`() throws {
    try TestLoop.run { loop in
      let step = Sequencer()
      await #expect(throws: Oops.self) { try await step(0) { throw Oops() } }
      let seven = try await step(1) { 7 }
      #expect(seven == 7)
      await #expect(throws: SequencerError.numberUsedTwice(1)) { try await step(1) {} }
    }
  }

  @Test func `a piece that is cancelled before its turn breaks the sequence`() throws {
    try TestLoop.run { loop in
      let step = Sequencer()
      let first = loop.createTask { try await step(1) {} }
      let second = loop.createTask { try await step(2) {} }
      try await loop.waitAllTasksBlocked()
      first.cancel()
      #expect(await outcome(of: first) == "cancelled")
      #expect(await outcome(of: second) == "broken")
      await #expect(throws: SequencerError.broken) { try await step(0) {} }
    }
  }

  @Test func `a piece whose forerunner never comes hangs, and the error has its place`() throws {
    var configuration = TestLoop.Configuration()
    configuration.patience = .milliseconds(10)
    let line: UInt = #line + 1
    let error = #expect(throws: LoopHangsError.self) {
      try TestLoop.run(configuration) { _ in try await Sequencer()(1) {} }
    }
    #expect(error?.tasks.first?.waitsFor == "a future made at \(#fileID):\(line)")
  }
}
