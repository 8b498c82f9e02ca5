// SPDX-License-Identifier: Apache-2.0
//
// A callback that comes again and again.

extension EventLoop {
  /// Schedules a callback for every beat of a rhythm, the first one interval from now.
  ///
  /// The beats are at fixed distances from the call: a beat that comes late does not put off those after it. What
  /// happens to beats that were missed, because something held the loop up for longer than an interval, `missed` says.
  /// A callback that throws is reported to the exception handler, and the beats go on. It gets the timer, so that it can
  /// end it. An interval that is not above zero stops the program.
  ///
  /// ```swift
  /// var beats = 0
  /// loop.callEvery(.milliseconds(10)) { timer in
  ///   beats += 1
  ///   if beats == 3 { timer.cancel() }
  /// }
  /// ```
  ///
  /// - Returns: The timer, which need not be kept.
  @discardableResult
  public func callEvery(
    _ interval: Duration, missed: MissedBeats = .skip, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: @escaping (RepeatingTimer) throws -> Void
  ) -> RepeatingTimer {
    guard interval > .zero else {
      misuse("EventLoop.callEvery", "the interval is not above zero; give a positive one")
    }
    let timer = RepeatingTimer(interval, missed, from: timeSource.now, callback)
    timer.arm(on: self, fileID, line)
    return timer
  }
}

/// What a repeating timer does about beats that it missed.
public enum MissedBeats: Sendable, Hashable {
  /// They are left out; the next one is the next of the rhythm.
  case skip
  /// They are left out, and the rhythm starts anew: the next beat is one interval after the late one.
  case delay
  /// They are made up, each in a turn of its own, until the rhythm is reached again.
  case burst
}

/// A callback that comes again and again; see ``EventLoop/callEvery(_:missed:fileID:line:_:)``.
///
/// It belongs to its loop's isolation, and cannot be sent elsewhere.
public final class RepeatingTimer {
  private let interval: Duration
  private let missed: MissedBeats
  private var beat: Deadline
  private var handle: TimerHandle?
  private var callback: ((RepeatingTimer) throws -> Void)?

  fileprivate init(
    _ interval: Duration, _ missed: MissedBeats, from start: Deadline,
    _ callback: @escaping (RepeatingTimer) throws -> Void
  ) {
    self.interval = interval
    self.missed = missed
    beat = start.advanced(by: interval)
    self.callback = callback
  }

  /// Ends the timer, and lets go of its callback; also from inside of it. Without effect when it has ended.
  ///
  /// - Parameter isolation: The loop, on which alone this can be called; leave it to its default.
  public func cancel(isolation: isolated EventLoop = #isolation) {
    // It goes last: what its captures' deinit does finds the timer in order.
    let callback = callback.take()
    handle?.cancel()
    handle = nil
    withExtendedLifetime(callback) {}
  }

  /// When the next beat is due; `nil` when the timer was cancelled.
  public var nextDeadline: EventLoop.Instant? { callback == nil ? nil : EventLoop.Instant(beat) }

  fileprivate func arm(on loop: isolated EventLoop, _ fileID: StaticString, _ line: UInt) {
    handle = loop.callAt(EventLoop.Instant(beat), fileID: fileID, line: line) { try self.run(on: loop, fileID, line) }
  }

  private func run(on loop: isolated EventLoop, _ fileID: StaticString, _ line: UInt) throws {
    guard let callback else { return }
    beat = next(after: loop.timeSource.now)
    arm(on: loop, fileID, line)
    try callback(self)
  }

  /// The beat after this one, which came at some time.
  private func next(after now: Deadline) -> Deadline {
    let following = beat.advanced(by: interval)
    guard following <= now else { return following }
    switch missed {
    case .burst: return following
    case .delay: return now.advanced(by: interval)
    case .skip:
      let step = interval.saturatingNanoseconds
      return now.advanced(byNanoseconds: step - (now.nanoseconds - beat.nanoseconds) % step)
    }
  }
}
