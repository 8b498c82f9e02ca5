// SPDX-License-Identifier: Apache-2.0
//
// What stands in the queues of a loop.

/// A plain callback. One that throws is reported to the loop's exception handler.
package typealias Callback = () throws -> Void

/// A callback from another thread, which gets the loop as its argument.
package struct PostedCallback: ~Copyable {
  package let call: (AnyObject) throws -> Void
}

/// One entry of the loop's FIFO. It is moved from hand to hand, and run once: a copy would cost a retain and a release.
///
/// `@unchecked Sendable`: a callback that crosses threads inside of a `Work` came in through a `sending` parameter,
/// so the thread that made it has let go of what it captured. All others stay on the loop's thread.
package enum Work: ~Copyable, @unchecked Sendable {
  /// A plain callback.
  case callback(Callback)
  /// A callback that another thread posted; it gets the loop.
  case posted(PostedCallback)
  /// A piece of a Swift task, ready to run.
  case job(UnownedJob)
  /// A timer that is due; its callback stays in the timer queue, where it can still be cancelled.
  case timer(DueTimer)
  /// The place of an entry that was cancelled, or that has run.
  case nothing

  /// Whether it is a plain callback.
  var isCallback: Bool {
    switch self {
    case .callback: true
    default: false
    }
  }
}
