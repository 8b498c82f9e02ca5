// SPDX-License-Identifier: Apache-2.0
//
// What the loop asks of the library below it. libevent answers; a test may answer in its place.

package import SystemPackage

/// The directions in which a descriptor can be ready.
package enum Readiness: Int, Sendable {
  /// Something to read, the end of the stream, a hang-up, or an error.
  case readable
  /// Room to write, a hang-up, or an error.
  case writable
  /// A new arrival on a descriptor that nobody drains: told once for each.
  case arrival
}

/// How long a wait may last.
package enum WaitLimit: Equatable, Sendable {
  /// Look, and come back at once.
  case poll
  /// At most this many nanoseconds, 1 or more.
  case nanoseconds(Int64)
  /// Until a descriptor is ready.
  case forever
}

/// The interest in one direction of one descriptor. It ends with `end()`, or with the object.
package protocol Watch: AnyObject {
  /// Lets the interest rest: no notice is given until `resume()`. Idempotent.
  func pause()

  /// Takes the interest up again. Idempotent.
  func resume() throws(SystemError)

  /// Ends the interest; the notice is not given after this returns. Idempotent.
  func end()
}

/// The source of readiness. Used on the loop's thread only.
package protocol Backend: AnyObject {
  /// Starts an interest; `notice` is called inside of `wait` for each wait that finds the descriptor ready.
  ///
  /// - Parameter isOwned: Whether the caller has the descriptor for itself, and so knows that it is open now and until
  ///   the interest has ended. That saves the system calls that find out.
  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch

  /// Waits until a watched descriptor is ready or the limit has passed, and gives the notices.
  func wait(_ limit: WaitLimit)
}

extension Backend {
  /// Starts an interest in a descriptor of somebody else's.
  package func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    try watch(descriptor, for: readiness, isOwned: false, notice: notice)
  }
}

/// The backend of a loop that was closed: it watches nothing, and never waits.
package final class ClosedBackend: Backend {
  package init() {}

  package func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    throw SystemError(.badFileDescriptor, in: "epoll_ctl")
  }

  package func wait(_ limit: WaitLimit) {}
}
