// SPDX-License-Identifier: Apache-2.0
//
// The seam between child processes and the kernel: every call goes through here, so that a test can make one fail, or
// play an older kernel.

package import SystemPackage

/// How a call names a child.
package enum ProcessName: Sendable, Hashable {
  /// By its number, which is its own until it is reaped.
  case number(Int32)
  /// By a descriptor of `pidfd_open`, which stands for no other process, ever.
  case descriptor(Int32)
}

/// The system calls that start, watch and end child processes. A call throws the `errno` that it left.
package protocol ProcessCalls: Sendable {
  /// `posix_spawn(3)`: the number of the new process.
  func spawn(_ plan: SpawnPlan) throws(Errno) -> Int32

  /// `pidfd_open(2)`, close-on-exec: readable when the process has ended. Kernels before 5.3 have none: `ENOSYS`.
  func openProcess(_ number: Int32) throws(Errno) -> Int32

  /// `pidfd_send_signal(2)` or `kill(2)`.
  ///
  /// - Throws: `ESRCH` for what is no child of this process, or was reaped; `EINVAL` for what is no signal.
  func signal(_ process: ProcessName, _ signal: Int32) throws(Errno)

  /// `waitid(2)`, of that child alone, and of its end alone.
  ///
  /// - Parameters:
  ///   - blocking: Whether to wait for the end.
  ///   - reaping: Whether the status is taken, and the number given back.
  /// - Returns: `nil` when it has not ended.
  /// - Throws: `ECHILD` for what is no child, or was reaped; `EINVAL` for a descriptor, before Linux 5.4.
  func wait(for process: ProcessName, blocking: Bool, reaping: Bool) throws(Errno) -> ChildExitStatus?

  /// `pipe2(2)`, close-on-exec.
  func pipe() throws(Errno) -> (readEnd: Int32, writeEnd: Int32)

  /// `open(2)`, close-on-exec; a file that is created may be read and written by all, as far as the umask says.
  func open(_ path: String, _ flags: Int32) throws(Errno) -> Int32

  /// `fcntl(2)` with `F_DUPFD_CLOEXEC`: the same description under a number that is not below a given one.
  func duplicate(_ descriptor: Int32, atLeast least: Int32) throws(Errno) -> Int32

  /// `fcntl(2)` with `O_NONBLOCK`, of a description that nobody else uses.
  func setNonBlocking(_ descriptor: Int32) throws(Errno)
}
