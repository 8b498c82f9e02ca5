// SPDX-License-Identifier: Apache-2.0
//
// Waiting until something holds: of the kernel and of threads, whose time nobody moves, and of loops on virtual time.

import AsyncIO

/// The condition did not come true in time.
struct NeverSettled: Error {}

/// Gives turns to the loop until a condition holds, for a minute at most: what takes long under a sanitizer, on a machine
/// that is busy, is no hang.
func settle(until condition: () -> Bool) async throws {
  let start = ContinuousClock.now
  while !condition() {
    if ContinuousClock.now - start > .seconds(60) { throw NeverSettled() }
    try await sleep(for: .milliseconds(1))
  }
}

/// Gives up the turn until a condition holds: what no time has to pass for.
func turns(until condition: () -> Bool) async throws {
  for _ in 0..<100_000 {
    if condition() { return }
    try await sleep(for: .zero)
  }
  throw NeverSettled()
}

/// Lets the loop wait, which it does when it has looked at all that the kernel has for it, and has run what comes of that.
///
/// It is enough where whatever might happen comes of this thread alone.
func lookAround() async throws { try await sleep(for: .milliseconds(1)) }

/// Gives the loop the time to do what it should not do.
func linger() async throws { try await sleep(for: .milliseconds(20)) }

/// The processor time of the loop's thread while it has nothing to do, for a tenth of a second.
///
/// A loop that spins uses all of it, or its share of a loaded machine; one that waits uses next to nothing.
func idleProcessorTime() async throws -> Duration {
  let start = ProcessFacts.threadTime
  try await sleep(for: .milliseconds(100))
  return ProcessFacts.threadTime - start
}
