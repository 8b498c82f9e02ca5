// SPDX-License-Identifier: Apache-2.0
//
// How long to wait where nobody tells of the end: of a shortage of the kernel's memory, while the descriptor is ready.

/// Pauses that grow while one shortage follows another: 1 ms, 2 ms, …, 64 ms.
///
/// Invariant: `count` pauses were handed out, each soon after the one before; `last` is when that was.
struct Backoff {
  private var count: Int64 = 0
  private var last = Deadline(nanoseconds: .min)

  private static let mostDoublings: Int64 = 6
  /// After so long without a shortage it begins anew.
  private static let quiet = Duration.milliseconds(256)

  /// The next pause, which begins now.
  mutating func next(at now: Deadline) -> Duration {
    if count > 0, last.advanced(by: Self.quiet) < now { count = 0 }
    last = now
    defer { count = min(count + 1, Self.mostDoublings) }
    return .milliseconds(1 << count)
  }
}
