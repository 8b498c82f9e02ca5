// SPDX-License-Identifier: Apache-2.0
//
// When a busy loop looks up from its work.

/// How often a busy loop looks at the world outside its FIFO.
///
/// Invariant: `untilLook` entries may still run before the loop asks the kernel again, and `untilTick` before it asks
/// whether the kernel's tick has moved from `tick`, where it stood last. Of the entries in the FIFO the first `owed`
/// are those up to the last one that a look has brought.
struct Pace {
  var untilLook = maximumJobs
  var untilTick = jobsBetweenTicks
  /// How many entries run between two questions for the tick.
  var stride = jobsBetweenTicks
  var tick: Int64 = 0
  var owed = 0
  /// Set when the tick has moved: the next turn looks at the timers.
  var hasTicked = false
  /// Set when a timer was armed that is due already: the next turn looks at the timers, whatever the pace.
  var hasDueTimer = false

  /// After so many entries the loop looks again.
  static let maximumJobs = 256
  /// After so many entries it looks whether time has passed; after fewer, where it has of late.
  static let jobsBetweenTicks = 16

  /// Notes a look.
  mutating func hasLooked(at tick: Int64) {
    self.tick = tick
    untilTick = stride
    untilLook = max(Self.maximumJobs, owed)
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
      untilLook = owed
      // Of entries that take long, sixteen would take too long.
      stride = 1
    } else {
      stride = min(2 * stride, Self.jobsBetweenTicks)
    }
    untilTick = stride
  }
}
