// SPDX-License-Identifier: Apache-2.0
//
// The end of a program whose programmer made a mistake that nothing can go on from.

/// Stops the program, and says why: who was called wrongly, the fact, and the cure.
///
/// By `fatalError`, since `preconditionFailure` is mute in an optimized build.
@inline(never)
func misuse(_ subject: StaticString, _ words: StaticString) -> Never {
  fatalError("\(subject): \(words)")
}
