// SPDX-License-Identifier: Apache-2.0
//
// What lives by a loop, is held by it, and has to be told of its end.

/// Something that waits for the kernel by a loop, whoever else holds it.
package protocol LoopDependent: AnyObject {
  /// The loop is being closed, and will give no notice any more. Called on the loop's thread, once. It calls no code of
  /// users.
  func loopIsClosing()

  /// The child process that it stands for, and where that was started; `nil` for anything else.
  var childInUse: (processID: Int32, site: String)? { get }
}

extension LoopDependent {
  package var childInUse: (processID: Int32, site: String)? { nil }
}

extension EventLoop {
  /// Holds an object until it is released, or the loop is closed.
  package func hold(_ dependent: any LoopDependent) { dependents[ObjectIdentifier(dependent)] = dependent }

  /// Lets go of an object that was held.
  package func release(_ dependent: any LoopDependent) { dependents[ObjectIdentifier(dependent)] = nil }

  /// The children of the loop that have not been reaped, in the order of their numbers.
  package var childrenInUse: [(processID: Int32, site: String)] {
    dependents.values.compactMap(\.childInUse).sorted { $0.processID < $1.processID }
  }

  func releaseDependents() {
    for dependent in dependents.values { dependent.loopIsClosing() }
    dependents = IdentityMap()
  }
}
