// SPDX-License-Identifier: Apache-2.0
//
// Reports of what nobody reads: what they hold, and the way they take.

import Logging
import Synchronization

/// A report of something that went wrong where nobody could be told.
///
/// Each comes once: to the loop's ``EventLoop/exceptionHandler``, or else as one entry of the log, with the kind under
/// the key `kind`.
public struct ExceptionContext: Sendable, CustomStringConvertible {
  /// What happened; the raw values are stable, for machines to read.
  public enum Kind: String, Sendable, Hashable, CustomStringConvertible {
    /// A plain callback (of `callSoon`, a timer, a descriptor, a signal, a future) threw.
    case callbackFailed = "callback-failed"
    /// A future or a task ended with an error, and was released before anybody read it.
    case errorNeverRetrieved = "error-never-retrieved"
    /// A task had not ended when its loop was closed.
    case taskDestroyedPending = "task-destroyed-pending"
    /// Somebody was waiting for a future when its loop was closed.
    case futureAbandoned = "future-abandoned"
    /// Something was scheduled on a closed loop, and will not run.
    case scheduledOnClosedLoop = "scheduled-on-closed-loop"
    /// Work of `runBlocking` had not ended when its loop was closed.
    case blockingWorkUnfinished = "blocking-work-unfinished"
    /// The handler of a server's client ended with an error that is not the loss of the client's connection.
    case connectionHandlerFailed = "connection-handler-failed"
    /// A server cannot take clients for now, since the process is out of descriptors or memory; it tries again.
    case acceptFailed = "accept-failed"
    /// In debug mode: a callback took longer than ``EventLoop/slowCallbackDuration``.
    case slowCallback = "slow-callback"
    /// The exception handler itself threw.
    case handlerFailed = "handler-failed"
    /// A loop was released without `close()`.
    case loopNotClosed = "loop-not-closed"
    /// A connection, or half of one, was released without `close()` or `abort()`.
    case connectionNotClosed = "connection-not-closed"
    /// An endpoint of datagrams was released without `close()`.
    case endpointNotClosed = "endpoint-not-closed"
    /// A child process ended, and other code of this process had taken its exit status.
    case childStatusLost = "child-status-lost"

    /// The raw value.
    public var description: String { rawValue }
  }

  /// What happened.
  public let kind: Kind

  /// The same in words.
  public let message: String

  /// The error, where there is one.
  public let error: (any Error)?

  /// The name of the task that it is about, where there is one.
  public let taskName: String?

  /// Where the future, task or callback was made: `Module/File.swift:12`. For callbacks, in debug mode only.
  public let creationSite: String?

  /// A report of your own, for ``EventLoop/reportException(_:)``.
  public init(
    _ kind: Kind, _ message: String, error: (any Error)? = nil, taskName: String? = nil,
    creationSite: String? = nil
  ) {
    self.kind = kind
    self.message = message
    self.error = error
    self.taskName = taskName
    self.creationSite = creationSite
  }

  /// All of it in a line.
  public var description: String {
    var line = "\(kind): \(message)"
    if let taskName { line += " [task \(taskName)]" }
    if let error { line += ": \(error)" }
    if let creationSite { line += " (created at \(creationSite))" }
    return line
  }
}

extension EventLoop {
  /// Sends a report to the exception handler, or to the log.
  ///
  /// The way for your own code, too, when it catches an error that it can tell nobody else.
  public func reportException(_ context: ExceptionContext) {
    guard let handler = exceptionHandler else { return log(context) }
    do {
      try handler(context)
    } catch {
      log(context)
      log(ExceptionContext(.handlerFailed, "the exception handler threw", error: error))
    }
  }

  /// Reports from any thread: in one of the loop's next turns, or to the log when it is closed.
  package nonisolated func reportLater(_ context: ExceptionContext) {
    let isTaken: Bool
    if executor.isHeldByThisThread && executor.phase.load(ordering: .relaxed) != .closed {
      executor.ready.append(.callback { self.assumeIsolated { $0.reportException(context) } })
      isTaken = true
    } else {
      isTaken = executor.post(.callback { self.assumeIsolated { $0.reportException(context) } })
    }
    if !isTaken { log(context) }
  }

  nonisolated func log(_ context: ExceptionContext) {
    logger.error("\(context)", metadata: ["kind": "\(context.kind)"])
  }
}
