// SPDX-License-Identifier: Apache-2.0
//
// What a child is started with, as plain data.

/// What `posix_spawn` is told of a child.
///
/// Of the descriptors, the child has those of `handedDown`, and 0, 1 and 2 as the parent has them unless they are among
/// those; and no other, unless `keepsOthers`.
package struct SpawnPlan: Sendable {
  /// The program's file, and the words that it gets, the first of which is its own name.
  package var path: String
  package var words: [String]

  /// `NAME=value`; `nil`: what the parent has.
  package var environment: [String]?

  /// Where the child begins; `nil`: where the parent is.
  package var directory: String?

  /// From numbers in the child to descriptors of the parent.
  package var handedDown: [Int32: Int32] = [:]

  /// Whether 2 is, in the child, what 1 is there.
  package var mergesErrors = false

  /// Whether the child gets also those descriptors of the parent that are not close-on-exec.
  package var keepsOthers = false

  /// The process group that the child joins; 0: a new one.
  package var group: Int32?

  package var startsSession = false

  package init(path: String, words: [String]) {
    self.path = path
    self.words = words
  }

  // MARK: Descriptors

  /// One step of the child before it becomes the program. The order matters: each sees what those before it left.
  package enum Step: Equatable, Sendable {
    case duplicate(Int32, to: Int32)
    case close(Int32)
    case closeFrom(Int32)
  }

  /// The numbers that the child's steps write to.
  private var targets: Set<Int32> { Set(handedDown.keys).union(mergesErrors ? [2] : []) }

  /// The descriptors of the parent that a step would overwrite before another one reads them. Each must be handed down
  /// under another number, one that is not below `firstFree`.
  package var overwritten: [Int32] {
    let targets = targets
    return Set(handedDown.filter { $0.key != $0.value && targets.contains($0.value) }.values).sorted()
  }

  /// A number beyond all that the child is to have.
  package var firstFree: Int32 { max(targets.max() ?? 2, 2) + 1 }

  /// The steps, when none is `overwritten`.
  package var steps: [Step] {
    // One that has its number already needs the step, too: it may be close-on-exec.
    var steps = handedDown.sorted { $0.key < $1.key }.map { Step.duplicate($0.value, to: $0.key) }
    if mergesErrors { steps.append(.duplicate(1, to: 2)) }
    guard !keepsOthers else { return steps }
    let targets = targets
    steps += (3..<max(firstFree, 3)).filter { !targets.contains($0) }.map { .close($0) }
    steps.append(.closeFrom(firstFree))
    return steps
  }
}
