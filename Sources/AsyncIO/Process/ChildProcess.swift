// SPDX-License-Identifier: Apache-2.0
//
// The child process, as its user holds it.

import Glibc

/// A program that was started by this one. asyncio's `Process`.
///
/// ```swift
/// try EventLoop.run { loop in
///   let child = try ChildProcess.spawn("sort", ["-r"], stdin: .pipe, stdout: .pipe)
///   let result = try await child.communicate(input: Array("a\nb\n".utf8))
///   print(String(decoding: result.output, as: UTF8.self), result.status)
///   // prints: b
///   //         a
///   //          exited with code 0
/// }
/// ```
///
/// The child is reaped by its loop when it ends, whether somebody waits for it or not. There is no handler for
/// `SIGCHLD`, and no child that somebody else has started is ever waited for.
///
/// A child that runs is killed, with `SIGKILL`, when this object goes, by ``close()``, and when its loop is closed. It
/// is reaped then, too. ``detach()`` lets it live on. Its own children are not looked after.
///
/// It belongs to its loop, like all that is not `Sendable`.
public final class ChildProcess: CustomStringConvertible {
  // Invariant: all of it but `exit` belongs to the thread that holds the loop; the last one to let go of it may be any.
  let exit: ChildExit
  let pipes: ChildPipes
  var streams = ChildStreams()

  /// What `communicate` has read; what it is to write, and how much of that it has written; whether it is under way.
  let collected = Collected()
  var pending: [UInt8]?
  var fedCount = 0
  var isCommunicating = false

  /// The loop that reaps it.
  public let loop: EventLoop

  init(_ exit: ChildExit, _ pipes: ChildPipes, on loop: EventLoop) {
    self.exit = exit
    self.pipes = pipes
    self.loop = loop
  }

  // MARK: State

  /// Its process ID: its own until it has been reaped, and then perhaps another's.
  public var processID: Int32 { exit.processID }

  /// How it ended; `nil` until its loop has noticed the end, and reaped it.
  public var exitStatus: ChildExitStatus? { try? exit.future.result() }

  /// The process ID, and how it ended, for logs.
  public var description: String {
    "ChildProcess(\(processID), \(exitStatus.map(String.init(describing:)) ?? "running"))"
  }

  // MARK: The end

  /// Waits until the child has ended and has been reaped. asyncio's `wait`.
  ///
  /// Any number of tasks may wait, also after the end.
  ///
  /// A child that writes to a pipe which nobody reads waits too, when the pipe is full, and then this never returns. Use
  /// ``communicate(input:timeout:limit:)``, which reads to the end and waits for it.
  ///
  /// - Cancellation: Ends this wait with `CancellationError`. The child, and others who wait, are left alone.
  /// - Returns: How it ended. ``ChildExitStatus/unknown`` when other code of this process has taken the status, which is
  ///   reported to the loop's exception handler, too.
  /// - Throws: ``LoopClosedError`` when its loop is closed before the end.
  @discardableResult
  public func waitForExit() async throws -> ChildExitStatus {
    // A child whose end is awaited is not let go of.
    defer { withExtendedLifetime(self) {} }
    return try await shield(exit.future)
  }

  // MARK: Signals

  /// Sends a signal. asyncio's `send_signal`.
  ///
  /// - Throws: ``SystemError`` with `ESRCH` when the child has ended and has been reaped: the signal goes nowhere, and
  ///   never to another process that has the number by now. With `EINVAL` for a number that is no signal; `EPERM` when
  ///   the child has taken on another user's rights.
  public func send(signal: Int32) throws(SystemError) { try exit.send(signal) }

  /// Asks it to end, by `SIGTERM`. See ``send(signal:)``.
  public func terminate() throws(SystemError) { try exit.send(SIGTERM) }

  /// Ends it, by `SIGKILL`. See ``send(signal:)``.
  public func kill() throws(SystemError) { try exit.send(SIGKILL) }

  /// Lets the child live on when this object goes, or its loop is closed. It is reaped all the same.
  public func detach() { exit.detach() }

  // MARK: Letting go

  /// Closes this side's ends of the pipes, and kills the child if it runs. asyncio's `close` of the transport.
  ///
  /// The child is reaped by the loop, which ``waitForExit()`` tells. A ``communicate(input:timeout:limit:)`` that is
  /// under way ends with ``DescriptorClosedError``. Idempotent.
  public func close() {
    for pipe in [pipes.input, pipes.output, pipes.errors] { pipe?.close() }
    streams.close()
    exit.letGo()
  }

  deinit {
    exit.letGo()
    streams.letGo(on: loop)
  }
}
