// SPDX-License-Identifier: Apache-2.0
//
// What lives by a loop, is held by it, and has to be told of its end.

/// Something that waits for the kernel by a loop, whoever else holds it.
package protocol LoopDependent: AnyObject {
  /// The loop is being closed, and will give no notice any more. Called on the loop's thread, once. It calls no code of
  /// users.
  func loopIsClosing()

  /// The loop is about to be closed, and runs on for what is under way. Called on the loop's thread, once.
  func loopIsEnding()

  /// What somebody has opened by it and not closed, for a test that names what is left; `nil` for what is nobody's to
  /// close.
  var openThing: OpenThing? { get }
}

extension LoopDependent {
  package func loopIsEnding() {}
}

/// Something that is open, and has to be closed by whoever opened it.
package struct OpenThing: Sendable {
  package enum Kind: Sendable {
    case connection, server, endpoint
    case child(processID: Int32)
  }

  package let kind: Kind
  /// Which one, in words.
  package let subject: String
  /// Where it was opened: `Module/File.swift:12`.
  package let site: String
  /// The descriptors that it has for itself.
  package let descriptors: [Int32]

  package init(_ kind: Kind, _ subject: String, site: String, descriptors: [Int32]) {
    self.kind = kind
    self.subject = subject
    self.site = site
    self.descriptors = descriptors
  }
}

extension EventLoop {
  /// Holds an object until it is released, or the loop is closed.
  package func hold(_ dependent: any LoopDependent) { dependents[ObjectIdentifier(dependent)] = dependent }

  /// Lets go of an object that was held.
  package func release(_ dependent: any LoopDependent) { dependents[ObjectIdentifier(dependent)] = nil }

  /// What is open, in the order of its opening.
  package var openThings: [OpenThing] { dependents.values.compactMap(\.openThing) }

  /// Lets nothing new begin.
  package func endDependents() {
    for dependent in dependents.values { dependent.loopIsEnding() }
  }

  func releaseDependents() {
    for dependent in dependents.values { dependent.loopIsClosing() }
    dependents = IdentityMap()
  }
}
