// SPDX-License-Identifier: Apache-2.0
//
// The timers of SwiftNIO, which has two kinds: `scheduleTask` with a closure, and `scheduleCallback` with a handler.

import NIOCore

extension Contender {
  /// The newer and leaner kind.
  static let nioCallbacks = Contender(name: "nio-callback", work: .here(NIOTimers<NIOCallback>.bodies), isPart: true)
}

protocol NIOTimer: SendableMetatype {
  static func arm(_ microseconds: Int, _ count: NIOCount, on loop: any EventLoop) -> Self
  func cancel()
}

struct NIOTask: NIOTimer {
  private let scheduled: Scheduled<Void>

  static func arm(_ microseconds: Int, _ count: NIOCount, on loop: any EventLoop) -> Self {
    NIOTask(scheduled: loop.scheduleTask(in: .microseconds(Int64(microseconds))) { count.down() })
  }

  func cancel() { scheduled.cancel() }
}

struct NIOCallback: NIOTimer {
  private let scheduled: NIOScheduledCallback

  private struct Handler: NIOScheduledCallbackHandler, Sendable {
    let count: NIOCount

    func handleScheduledCallback(eventLoop: some EventLoop) { count.down() }
  }

  static func arm(_ microseconds: Int, _ count: NIOCount, on loop: any EventLoop) -> Self {
    let deadline = NIODeadline.now() + .microseconds(Int64(microseconds))
    do {
      return NIOCallback(scheduled: try loop.scheduleCallback(at: deadline, handler: Handler(count: count)))
    } catch {
      fatalError("scheduleCallback: \(error)")
    }
  }

  func cancel() { scheduled.cancel() }
}

enum NIOTimers<Timer: NIOTimer> {
  static var bodies: [String: Contender.Body] {
    [
      "timers-fire": fire,
      "timers-cancel-fifo": { try cancel($0, order: Array(0..<UInt32($0))) },
      "timers-cancel-rand": { try cancel($0, order: permutation($0)) },
      "timers-churn": churn,
    ]
  }

  private static func fire(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in
      let count = NIOCount(n, finish)
      var delays = Delays()
      for _ in 0..<n { _ = Timer.arm(delays.short(), count, on: loop) }
    }
  }

  /// To cancel looks through all timers: at a million it takes milliseconds, so it is done for this many timer visits only.
  private static var visits: Int { 200_000_000 }

  private static func cancel(_ n: Int, order: [UInt32]) throws -> Reading {
    let cancelled = min(n, max(100, visits / n))
    return try onNIO(n) { loop, finish in
      let count = NIOCount(n, finish)
      var delays = Delays()
      var timers: [Timer] = []
      timers.reserveCapacity(n)
      let arming = Stopwatch()
      for _ in 0..<n { timers.append(Timer.arm(delays.long(), count, on: loop)) }
      let armed = arming.reading(n)
      let cancelling = Stopwatch()
      for index in order[..<cancelled] { timers[Int(index)].cancel() }
      finish(Reading(armed, then: cancelling.reading(cancelled)))
    }
  }

  /// Each push looks through all 100,000 timers, too.
  private static func churn(_ n: Int) throws -> Reading {
    let pushes = min(n, 5_000)
    return try onNIO(pushes) { loop, finish in
      let count = NIOCount(.max, finish)
      let timers = (0..<Churn.idleTimeouts).map { _ in Timer.arm(Churn.seconds * 1_000_000, count, on: loop) }
      push(State(timers, pushes), count, loop, Stopwatch(), finish)
    }
  }

  private static func push(
    _ state: State, _ count: NIOCount, _ loop: any EventLoop, _ watch: Stopwatch, _ finish: Finish
  ) {
    loop.execute {
      for _ in 0..<min(Churn.pushesInTurn, state.left) {
        let index = state.delays.next() % Churn.idleTimeouts
        state.timers[index].cancel()
        state.timers[index] = Timer.arm(Churn.seconds * 1_000_000, count, on: loop)
      }
      state.left -= min(Churn.pushesInTurn, state.left)
      if state.left > 0 { push(state, count, loop, watch, finish) } else { finish(watch.reading(state.pushes)) }
    }
  }

  /// Confined to the loop.
  private final class State: @unchecked Sendable {
    var timers: [Timer]
    var left: Int
    let pushes: Int
    var delays = Delays()

    init(_ timers: [Timer], _ pushes: Int) {
      self.timers = timers
      self.pushes = pushes
      left = pushes
    }
  }
}
