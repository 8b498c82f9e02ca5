// SPDX-License-Identifier: Apache-2.0
//
// The race of which every runtime of this kind had its bugs: a cancel, an end, and a deadline, before each other, after
// each other, and in one turn; by each way to await something.

import AsyncIOTesting
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct CancelFinishDeadlineTests {
  /// How a task awaits.
  enum Way: CaseIterable {
    case plain, task, waitFor, withTimeout, both, gather, shield, wait, asCompleted, group

    var hasLimit: Bool { [.waitFor, .withTimeout, .both, .wait, .asCompleted].contains(self) }
    /// Whether a cancel of the task is one of the future.
    var cancelsInwards: Bool { ![.shield, .wait, .asCompleted].contains(self) }
    /// Whether the limit is a cancel of the future.
    var limitCancelsInwards: Bool { [.waitFor, .withTimeout, .both].contains(self) }
  }

  enum Finish: String, CaseIterable {
    case value = "7"
    case error = "boom"
    case cancel = "cancelled"
  }

  private static func await_(_ future: Future<Int>, _ way: Way, _ limit: Duration?) async throws -> Int {
    switch way {
    case .plain: return try await future.value
    case .task: return try await future.loop.taskAwaiting(future).value
    case .waitFor: return try await waitFor(future, timeout: limit)
    case .withTimeout: return try await withTimeout(limit) { try await future.value }
    case .both:
      return try await withTimeout(limit) { try await waitFor(future, timeout: limit.map { $0 + .seconds(5) }) }
    case .gather: return try await AsyncIO.gather([future, future])[1]
    case .shield: return try await AsyncIO.shield(future)
    case .wait:
      let done = try await AsyncIO.wait([future], timeout: limit).done
      if done.isEmpty { throw TimeoutError() }
      return try future.result()
    case .asCompleted:
      for try await one in asCompleted([future], timeout: limit) { return try one.result() }
      throw Oops()
    case .group:
      do {
        return try await withLoopTaskGroup { group in
          let member = group.createTask { try await future.value }
          return try await member.value
        }
      } catch let error as LoopTaskGroupError {
        throw error.errors.first ?? error
      }
    }
  }

  @Test func `T-31 to T-51, W-01 to W-30: cancel, end and deadline, in all orders, by each way to await`() throws {
    try EventLoop.race { loop, random in
      let reports = Reports(of: loop)
      for _ in 0..<4 { try await Self.race(&random, on: loop) }
      try require(reports.kinds.isEmpty, "reported: \(reports.value)")
    }
  }

  private static func race(_ random: inout SplitMix64, on loop: isolated EventLoop) async throws {
    guard let way = Way.allCases.randomElement(using: &random),
      let finish = Finish.allCases.randomElement(using: &random)
    else { return }
    let never = 99
    let finishAt = [0, 1, 2, never].randomElement(using: &random) ?? 0
    let limitAt = way.hasLimit ? [0, 1, 2, never].randomElement(using: &random) ?? 0 : never
    let cancelsAt = (0..<Int.random(in: 0...2, using: &random)).map { _ in Int.random(in: 0...2, using: &random) }
    let begin = loop.now
    func second() -> Int { Int(begin.duration(to: loop.now).components.seconds) }

    let future = loop.createFuture(of: Int.self)
    let happenings = Happenings()
    var hasFinished = false
    var requests = 0
    let task = loop.createTask { try await await_(future, way, limitAt == never ? nil : .seconds(limitAt)) }
    let end = loop.createTask { (await ending { try await task.value }, second()) }
    if finishAt != never {
      happenings.plan("finish", at: finishAt) {
        hasFinished =
          switch finish {
          case .value: (try? future.setResult(7)) != nil
          case .error: (try? future.setError(Boom())) != nil
          case .cancel: future.cancel()
          }
      }
    }
    for at in cancelsAt { happenings.plan("cancel", at: at) { if task.cancel() { requests += 1 } } }
    happenings.arm(&random, on: loop)
    try await sleep(for: .seconds(4))
    let words = "\(way), \(finish) at \(finishAt), limit at \(limitAt), cancels at \(cancelsAt)"

    let firstCancel = cancelsAt.min() ?? never
    let first = min(finishAt, limitAt, firstCancel)
    var allowed: Set<String> = []
    if finishAt == first { allowed.insert(finish.rawValue) }
    if limitAt == first { allowed.insert("timeout") }
    if firstCancel == first { allowed.insert("cancelled") }
    if first == never {
      try require(!task.isDone, "\(words): it has ended")
      task.cancel()
      requests += 1
      allowed = ["cancelled"]
    }
    let (ended, when) = try await end.value
    try require(allowed.contains(ended), "\(words): it ended with \(ended)")
    try require(when == (first == never ? 4 : first), "\(words): it ended at \(when)")
    // Each request was counted, and none other.
    try require(task.cancelling == requests, "\(words): cancelling \(task.cancelling), not \(requests)")

    // What the future was given is there, and what it was not given is not.
    if hasFinished {
      try require(await outcome(of: future) == finish.rawValue, "\(words): the future's end is lost")
    } else if first == 0 {
      // It may have come before the body's start: then that has not run.
      future.cancel()
    } else if ended == "cancelled" && way.cancelsInwards || ended == "timeout" && way.limitCancelsInwards {
      try require(future.isCancelled, "\(words): the cancel did not reach the future")
    } else {
      try require(!future.isDone, "\(words): the future was ended by somebody")
      future.cancel()
    }
    try require(loop.allTasks.count == 1, "\(words): tasks are left")
  }

  @Test func `T-37, T-44, T-54: cleanup that awaits runs whole, but for a second request, while all meet`() throws {
    try EventLoop.race { loop, random in
      for _ in 0..<4 {
        let happenings = Happenings()
        var requests = 0
        var log: [String] = []
        let body = Int.random(in: 1...3, using: &random)
        let cleanup = Int.random(in: 0...2, using: &random)
        let cancelsAt = (0..<Int.random(in: 1...3, using: &random)).map { _ in Int.random(in: 1...4, using: &random) }
        let task = loop.createTask {
          do {
            try await sleep(for: .seconds(body))
            log.append("body")
          } catch {
            log.append("cancelled")
            // Interrupted by a further request, and by no old one.
            do { try await sleep(for: .seconds(cleanup)) } catch { log.append("again") }
          }
        }
        for at in cancelsAt { happenings.plan("cancel", at: at) { if task.cancel() { requests += 1 } } }
        happenings.arm(&random, on: loop)
        try await sleep(for: .seconds(9))
        let words = "body \(body), cleanup \(cleanup), cancels at \(cancelsAt)"
        let distinct = Set(cancelsAt).sorted()
        switch log {
        case ["body"]: try require(distinct[0] >= body && task.isDone, "\(words): \(log)")
        case ["cancelled"]:
          let isInterrupted = distinct.count > 1 && distinct[1] < distinct[0] + cleanup
          try require(distinct[0] <= body && !isInterrupted, "\(words): \(log)")
        case ["cancelled", "again"]:
          // Two requests in one turn are one throw; the second of them may come after the first was seen.
          let second = cancelsAt.sorted().dropFirst().first ?? 99
          try require(distinct[0] <= body && second <= distinct[0] + cleanup, "\(words): \(log)")
        default: throw RaceError(description: "\(words): \(log)")
        }
        try require(task.isDone && task.cancelling == requests, "\(words): cancelling \(task.cancelling)")
      }
    }
  }
}

extension EventLoop {
  fileprivate nonisolated func taskAwaiting(_ future: Future<Int>) -> LoopTask<Int> {
    assumeIsolated { $0.createTask { try await future.value } }
  }
}
