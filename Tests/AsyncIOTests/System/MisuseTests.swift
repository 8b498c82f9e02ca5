// SPDX-License-Identifier: Apache-2.0
//
// Mistakes that end the program, each with its words on standard error, in every build.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct MisuseTests {
  /// A call that is wrong, and what is said of it.
  enum Mistake: String, CaseIterable, Codable {
    case closeWhileRunning = "EventLoop.close: the loop is running; call stop() first"
    case assumeIsolated = "Incorrect actor executor assumption; Expected same executor as AsyncIO.EventLoop"
    case assumeIsolatedElsewhere = "Incorrect actor executor assumption; Expected same executor as AsyncIO.EventLoop."
    case preconditionIsolated = "Incorrect actor executor assumption"
    case addDoneCallback = "addDoneCallback: it belongs to another event loop; call it on that one"
    case removeDoneCallback = "removeDoneCallback: it belongs to another event loop"
    case uncancel = "uncancel: it belongs to another event loop"
    case cancelCallback = "CallbackHandle.cancel: it belongs to another event loop"
    case isCallbackPending = "CallbackHandle.isPending: it belongs to another event loop"
    case cancelTimer = "TimerHandle.cancel: it belongs to another event loop"
    case isTimerPending = "TimerHandle.isPending: it belongs to another event loop"
    case rescheduleTimer = "TimerHandle.reschedule: it belongs to another event loop"
    case nextDeadline = "TimerHandle.nextDeadline: it belongs to another event loop"
    case callEvery = "EventLoop.callEvery: the interval is not above zero; give a positive one"
    case asCompletedTwice = "asCompleted: a second task waits for the next one; iterate in one task"
  }

  @Test(arguments: Mistake.allCases)
  func `L-21, L-28: a mistake that nothing can go on from ends the program, and says why`(mistake: Mistake) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [mistake = mistake as Mistake] in
      try Self.make(mistake)
    }
    let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(words.contains(mistake.rawValue))
  }

  private static func make(_ mistake: Mistake) throws {
    switch mistake {
    case .closeWhileRunning:
      let loop = try EventLoop()
      try loop.callSoonThreadsafe { loop in loop.closeNow() }
      try loop.runTurns()
    case .assumeIsolated:
      let loop = try EventLoop()
      let intrude = { loop.assumeIsolated { _ = $0.callSoon {} } }
      intrude()
    case .assumeIsolatedElsewhere:
      let thread = try LoopThread.start()
      while !thread.loop.isRunning {}
      let intrude = { thread.loop.assumeIsolated { _ = $0.callLater(.zero) {} } }
      intrude()
    case .preconditionIsolated:
      let loop = try EventLoop()
      loop.preconditionIsolated()
    case .addDoneCallback: try onAnother { $0.future.addDoneCallback(isolation: $1) {} }
    case .removeDoneCallback: try onAnother { $0.future.removeDoneCallback($0.token, isolation: $1) }
    case .uncancel: try onAnother { $0.task.uncancel(isolation: $1) }
    case .cancelCallback: try onAnother { $0.callback.cancel(isolation: $1) }
    case .isCallbackPending: try onAnother { _ = $0.callback.isPending(isolation: $1) }
    case .cancelTimer: try onAnother { $0.timer.cancel(isolation: $1) }
    case .isTimerPending: try onAnother { _ = $0.timer.isPending(isolation: $1) }
    case .rescheduleTimer: try onAnother { $0.timer.reschedule(after: .seconds(1), isolation: $1) }
    case .nextDeadline: try onAnother { _ = $0.timer.nextDeadline(isolation: $1) }
    case .callEvery: try onAnother { $1.callEvery(.zero) { _ in } }
    case .asCompletedTwice:
      try EventLoop.run { loop in
        let (done, pending) = (loop.createFuture(of: Int.self), loop.createFuture(of: Int.self))
        try done.setResult(1)
        var iterator = asCompleted([done, pending]).makeAsyncIterator()
        _ = try await iterator.next()
        for _ in 0..<2 {
          loop.createTask { [iterator] in
            var copy = iterator
            _ = try await copy.next()
          }
        }
        try await sleep(for: .seconds(1))
      }
    }
  }

  /// What belongs to one loop.
  private struct Belongings {
    let future: Future<Void>
    let token: DoneCallbackToken
    let task: LoopTask<Void>
    let callback: CallbackHandle
    let timer: TimerHandle

    init(of loop: isolated EventLoop) {
      future = loop.createFuture()
      token = future.addDoneCallback {}
      task = loop.createTask {}
      callback = loop.callSoon {}
      timer = loop.callLater(.seconds(1)) {}
    }
  }

  /// Works on another loop with what belongs to a first one.
  private static func onAnother(_ body: @Sendable (Belongings, isolated EventLoop) -> Void) throws {
    let belongings = try EventLoop().whileIdle { loop in Belongings(of: loop) }
    try EventLoop().whileIdle { loop in body(belongings, loop) }
  }
}
