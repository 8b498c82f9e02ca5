// SPDX-License-Identifier: Apache-2.0
//
// Each system call fails once: a body over all the ways in which the kernel can let it down.

public import AsyncIO
public import SystemPackage

extension TestLoop {
  /// Runs a body again and again, each time with another system call that fails, until a run has no call left that could.
  ///
  /// ```swift
  /// try TestLoop.run(failingEachCallWith: [.connectionReset, .noMemory], configuration) { loop in … }
  /// ```
  ///
  /// What the body throws counts as its answer to the fault. A run fails when it hangs, when it leaves something behind,
  /// however it ended, or when an expectation fails. The first run, without a fault, may not throw.
  ///
  /// The faults of the configuration's ``SystemScript`` happen in each run, the first one too, and go before: a call that
  /// they make to fail, fails with theirs.
  ///
  /// - Parameters:
  ///   - errors: With what they fail; each call fails with each of them.
  ///   - calls: Which calls; all of them, where none is named.
  ///   - configuration: How all else is to be.
  ///   - body: The test.
  /// - Returns: How many runs there were.
  /// - Throws: ``FaultFailure``.
  @available(*, noasync, message: "it blocks the thread")
  @discardableResult
  public static func run(
    failingEachCallWith errors: [Errno], of calls: [SystemCall] = [],
    _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> Int {
    try run(configuration, body)
    var runs = 1
    for error in errors {
      for call in calls.isEmpty ? [nil] : calls.map(Optional.some) {
        var number = 1
        while try run(failing: Fault(call, number: number, error: error), configuration, body) {
          number += 1
          runs += 1
        }
        runs += 1
      }
    }
    return runs
  }

  /// Runs a body once, with one fault: the way to see a failure again. The same fault does the same, to the letter, as
  /// long as the body asks nothing outside of its loop. Those of the configuration happen, too, and go before.
  ///
  /// - Returns: `false` when the body did not make that many calls.
  /// - Throws: ``FaultFailure``.
  @available(*, noasync, message: "it blocks the thread")
  @discardableResult
  public static func run(
    failing fault: Fault, _ configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
  ) throws -> Bool {
    let run = try TestRun(configuration, sweeping: fault)
    var failure: (any Error)?
    let issues = try Issues.watching {
      do {
        try run.run(body).get()
      } catch let error where error is LoopHangsError || error is LeakError {
        failure = error
      } catch {
        if !run.leaks.isEmpty { failure = LeakError(run.leaks) }
      }
    }
    if failure != nil || !issues.isEmpty {
      throw FaultFailure(
        fault: fault, calls: run.firedCalls, error: failure, issues: issues, trace: run.trace)
    }
    return run.isSweptReached
  }
}

/// A body did not stand that a system call failed.
public struct FaultFailure: Error, Sendable, CustomStringConvertible {
  /// The fault: by ``TestLoop/run(failing:_:_:)`` it happens again.
  public let fault: TestLoop.Fault

  /// The calls that failed by it.
  public let calls: [TestLoop.SystemCall]

  /// The hang, or what was left behind; `nil` when only expectations failed.
  public let error: (any Error)?

  /// The expectations that failed.
  public let issues: [String]

  /// What ran.
  public let trace: TestLoop.Trace

  /// The fault and what came of it.
  public var description: String {
    let names = calls.map(\.rawValue).joined(separator: ", ")
    let call = fault.call.map { ".\($0), " } ?? ""
    let count = fault.count == 1 ? "" : "count: \(fault.count), "
    let again = ".init(\(call)number: \(fault.number), \(count)error: Errno(rawValue: \(fault.error.rawValue)))"
    var lines = [
      "call \(fault.number) (\(names)) failed with \(fault.error), and that was not withstood:",
      "  TestLoop.run(failing: \(again)) { … } runs it again",
    ]
    if let error { lines.append("  \(error)") }
    lines += issues.map { "  \($0)" }
    lines += trace.steps.suffix(20).map { "    \($0)" }
    return lines.joined(separator: "\n")
  }
}
