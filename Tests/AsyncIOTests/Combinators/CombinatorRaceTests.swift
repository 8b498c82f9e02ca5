// SPDX-License-Identifier: Apache-2.0
//
// An end, a limit, a cancel of the caller and a cancel by somebody else: in one turn, in every order. What comes of two
// of them is in the table of the article, which these tests read.

import Foundation
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct CombinatorRaceTests {
  enum Event: String, CaseIterable { case ends, limit, caller, `else` }

  enum Combinator: String, CaseIterable, CustomTestStringConvertible {
    case shield, waitFor, withTimeout, gather, wait, asCompleted

    var testDescription: String { rawValue }
    var hasLimit: Bool { self != .shield && self != .gather }
  }

  /// One run: its events come in one turn, in their order.
  private struct Race {
    var end = ""
    var cancelling = 0
    var isSwiftsFlagSet = false
    var observers = 0
    var timers = 0
  }

  /// Waits for a future, or for a task that awaits it.
  private static func use<A: Awaitable>(_ combinator: Combinator, _ inner: A, _ limit: Duration) async -> String
  where A.Success == Int {
    await ending {
      switch combinator {
      case .shield:
        try await AsyncIO.shield(inner)
        return "value"
      case .waitFor:
        try await AsyncIO.waitFor(inner, timeout: limit)
        return "value"
      case .withTimeout:
        try await AsyncIO.withTimeout(limit) { try await inner.value }
        return "value"
      case .gather:
        try await AsyncIO.gather([inner])
        return "value"
      case .wait:
        let (done, _) = try await AsyncIO.wait([inner as AnyFuture], timeout: limit)
        return done.isEmpty ? "pending" : "done"
      case .asCompleted:
        for try await _ in AsyncIO.asCompleted([inner as AnyFuture], timeout: limit) { return "next" }
        return "none"
      }
    }
  }

  private static func run(
    _ combinator: Combinator, _ events: [Event], innerIsTask: Bool, _ loop: isolated EventLoop
  ) async throws -> Race {
    let future = loop.createFuture(of: Int.self)
    let task = innerIsTask ? loop.createTask { try await future.value } : nil
    var race = Race()
    // Of equal deadlines the first to be armed comes first, and all are due in one turn.
    let limit = Duration.seconds(1)
    let deadline = loop.now.advanced(by: limit)
    let given = events.contains(.limit) ? limit : .seconds(60)
    var made: LoopTask<String>?
    func arm(_ event: Event) {
      loop.callAt(deadline) {
        switch event {
        case .ends: try? future.setResult(1)
        case .caller: made?.cancel()
        case .else: if let task { task.cancel() } else { future.cancel() }
        case .limit: break
        }
      }
    }
    let parts = events.split(separator: .limit, maxSplits: 1, omittingEmptySubsequences: false)
    for event in parts[0] { arm(event) }
    let caller = loop.createTask {
      let end =
        if let task { await use(combinator, task, given) } else { await use(combinator, future, given) }
      race.cancelling = AnyLoopTask.current?.cancelling ?? -1
      race.isSwiftsFlagSet = Task.isCancelled
      // Whatever has come: the awaits after it work.
      try await turns()
      return end
    }
    made = caller
    try await turns(3)
    for event in parts.dropFirst().joined() { arm(event) }
    race.end = await outcome(of: caller)
    race.observers = (task ?? future as AnyFuture).observerCount
    race.timers = loop.executor.timers.count
    future.cancel()
    return race
  }

  @Test(.inOrder, arguments: Combinator.allCases)
  func `W-12, W-13, W-24, T-49, T-50: two in one turn, as the table of the article has it`(
    combinator: Combinator
  ) throws {
    let table = try Table()
    #expect(table.rows.count == 12)
    try runVirtually { loop in
      for row in table.rows {
        let cell = try #require(row.cells[combinator.rawValue])
        guard combinator.hasLimit || !row.events.contains(.limit) else {
          #expect(cell == "–", "\(row.events)")
          continue
        }
        let race = try await Self.run(combinator, row.events, innerIsTask: false, loop)
        #expect(race.end == cell, "\(row.events)")
        #expect(race.cancelling == (row.events.contains(.caller) ? 1 : 0), "\(row.events)")
        #expect(race.isSwiftsFlagSet == row.events.contains(.caller), "\(row.events)")
        #expect((race.observers, race.timers) == (0, 0), "\(row.events)")
      }
    }
  }

  @Test(arguments: Combinator.allCases)
  func `all orders of all of the four: no cancel of the caller is lost, nothing hangs, nothing is left`(
    combinator: Combinator
  ) throws {
    let orders = Self.orders.filter { combinator.hasLimit || !$0.contains(.limit) }
    try runVirtually { loop in
      for order in orders {
        for innerIsTask in [false, true] {
          let race = try await Self.run(combinator, order, innerIsTask: innerIsTask, loop)
          let name = "\(order), \(innerIsTask ? "task" : "future")"
          if order.contains(.caller) {
            #expect(race.end == "cancelled", "\(name)")
          } else {
            #expect(race.isSwiftsFlagSet == false, "\(name)")
          }
          if !order.contains(.limit) { #expect(race.end != "timeout", "\(name)") }
          #expect(race.cancelling == (order.contains(.caller) ? 1 : 0), "\(name)")
          #expect((race.observers, race.timers) == (0, 0), "\(name)")
        }
      }
      try await turns(5)
      #expect(loop.allTasks.count == 1)
    }
  }

  /// All orders of all subsets but the empty one, of which those that end nothing have the limit come last.
  private static let orders: [[Event]] = {
    var orders: [[Event]] = []
    var longest: [[Event]] = [[]]
    for _ in Event.allCases {
      longest = longest.flatMap { order in
        Event.allCases.filter { !order.contains($0) }.map { order + [$0] }
      }
      orders += longest
    }
    return orders
  }()

  /// The table of the article.
  private struct Table {
    struct Row {
      let events: [Event]
      let cells: [String: String]
    }

    private(set) var rows: [Row] = []

    init() throws {
      let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
      let path = root.appending(path: "Sources/AsyncIO/AsyncIO.docc/CombinatorRaces.md")
      let lines = try String(contentsOf: path, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("|") }
      let cells = lines.map { line in
        line.split(separator: "|").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
      }
      let heads = try #require(cells.first)
      for line in cells.dropFirst(2) {
        let events = line[0].split(separator: ", ").compactMap { Event(rawValue: String($0)) }
        try #require(events.count == 2)
        rows.append(Row(events: events, cells: Dictionary(uniqueKeysWithValues: zip(heads, line))))
      }
      #expect(Set(rows.map(\.events)).count == rows.count)
    }
  }
}
