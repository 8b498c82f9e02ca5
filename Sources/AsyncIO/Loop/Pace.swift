// SPDX-License-Identifier: Apache-2.0
//
// When a busy loop looks up from its work.

/// How often a busy loop looks at the world outside its FIFO.
///
/// Invariant: `untilLook` entries may still run before the loop asks the kernel again, and `untilTick` before it asks
/// whether the kernel's tick has moved from `tick`, where it stood last. Of the entries in the FIFO the first `owed`
/// are those up to the last one that a look has brought; `untilLook` is not less, so that a look precedes each timer
/// that a tick has moved behind them, unless the last look is `longest` ticks ago.
struct Pace {
  private(set) var untilLook = maximumJobs
  private(set) var untilTick = jobsBetweenTicks
  private(set) var owed = 0
  /// How many entries run between two questions for the tick.
  private var stride = jobsBetweenTicks
  private var tick: Int64 = 0
  private var ticksSinceLook = 0
  /// Set when the tick has moved: the next turn looks at the timers.
  var hasTicked = false
  /// Set when a timer was armed that is due already: the next turn looks at the timers, whatever the pace.
  var hasDueTimer = false

  /// No more entries run in a batch, or come from other threads in a turn; and after so many the loop looks again,
  /// unless it is owed more.
  static let maximumJobs = 256
  /// After so many entries it looks whether time has passed; after fewer, where it has of late.
  static let jobsBetweenTicks = 16
  /// The most ticks without a look.
  static let longest = 8

  /// Notes a look.
  ///
  /// - Parameter owed: How many entries stand in the FIFO after one that has brought some; `nil` for one that has not.
  mutating func hasLooked(at tick: Int64, bringing owed: Int?) {
    self.tick = tick
    self.owed = owed ?? self.owed
    ticksSinceLook = 0
    untilTick = stride
    untilLook = max(Self.maximumJobs, self.owed)
  }

  /// Notes that entries have run.
  mutating func haveRun(_ count: Int) {
    untilLook -= count
    untilTick -= count
    owed = max(0, owed - count)
  }

  /// Notes where the tick stands.
  mutating func hasAsked(for tick: Int64) {
    if tick != self.tick {
      self.tick = tick
      hasTicked = true
      ticksSinceLook += 1
      untilLook = ticksSinceLook < Self.longest ? owed : 0
      // Of entries that take long, sixteen would take too long.
      stride = 1
    } else {
      stride = min(2 * stride, Self.jobsBetweenTicks)
    }
    untilTick = stride
  }
}
