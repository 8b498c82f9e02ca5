// SPDX-License-Identifier: Apache-2.0
//
// What ran, in order: two runs of a seed are equal to the letter.

package import AsyncIO
import Synchronization

extension TestLoop {
  /// The steps that a loop took.
  ///
  /// Nothing in it depends on the process: tasks without a name are numbered by their first step, callbacks by their place
  /// in the FIFO, timers by the order of arming.
  public struct Trace: Sendable, Hashable, CustomStringConvertible {
    /// One step.
    public struct Step: Sendable, Hashable, CustomStringConvertible {
      /// The time, since the start of the run.
      public let time: Duration

      /// What ran: `task worker`, `timer 3 (Module/File.swift:12)`, …
      public let subject: String

      /// Both.
      public var description: String { "\(time): \(subject)" }
    }

    /// The steps.
    public let steps: [Step]

    /// The first step in which another trace differs; `nil` when they are equal.
    public func firstDifference(from other: Trace) -> Int? {
      if steps == other.steps { return nil }
      return zip(steps, other.steps).enumerated().first { $1.0 != $1.1 }?.offset ?? min(steps.count, other.steps.count)
    }

    /// A line for each step.
    public var description: String { steps.map(\.description).joined(separator: "\n") }
  }
}

/// Writes the steps down.
///
/// `@unchecked Sendable`: it belongs to the thread that holds the loop.
package final class TraceRecorder: LoopObserver, @unchecked Sendable {
  private enum Subject {
    case task(AnyLoopTask, Int)
    case foreignTask
    case callback(UInt64, String?)
    case posted
    case timer(UInt64, String?)
    case note(String)
  }

  private let clock: TestClock
  private let start: Deadline
  private var steps: [(time: Deadline, subject: Subject)] = []
  private var numbers: [ObjectIdentifier: Int] = [:]
  private var timers: [TimerID: (StaticString, UInt)] = [:]

  package init(clock: TestClock) {
    self.clock = clock
    start = clock.now
  }

  package func didTake(_ step: LoopStep, site: String?) {
    let subject: Subject =
      switch step {
      case .callback(let ticket): .callback(ticket, site)
      case .posted: .posted
      case .timer(let order): .timer(order, site)
      case .job(let object):
        // The trace holds the task, so that no other can have its address.
        if let task = object as? AnyLoopTask { .task(task, number(of: task)) } else { .foreignTask }
      }
    steps.append((clock.now, subject))
  }

  /// Writes down something of the test's own.
  package func note(_ text: String) { steps.append((clock.now, .note(text))) }

  package func didArm(_ timer: TimerID, fileID: StaticString, line: UInt) { timers[timer] = (fileID, line) }

  private func number(of task: AnyLoopTask) -> Int {
    if let number = numbers[ObjectIdentifier(task)] { return number }
    let number = numbers.count + 1
    numbers[ObjectIdentifier(task)] = number
    return number
  }

  package var trace: TestLoop.Trace {
    TestLoop.Trace(
      steps: steps.map { step in
        TestLoop.Trace.Step(time: step.time.duration(since: start), subject: Self.text(of: step.subject))
      })
  }

  private static func text(of subject: Subject) -> String {
    switch subject {
    case .task(let task, let number): "task \(task.explicitName ?? "\(number)")"
    case .foreignTask: "a task that is none of the loop's"
    case .callback(let ticket, let site): "callback \(ticket)" + inParentheses(site)
    case .posted: "a callback of another thread"
    case .timer(let order, let site): "timer \(order)" + inParentheses(site)
    case .note(let text): "\"\(text)\""
    }
  }

  private static func inParentheses(_ site: String?) -> String { site.map { " (\($0))" } ?? "" }

  /// The timers that are pending, and that a plain call armed, with the places of those calls.
  package func pendingTimers(on executor: LoopExecutor) -> [String] {
    timers.filter { executor.isPending($0.key) }
      .map { timer, site in (executor.deadline(timer) ?? .never, "\(site.0):\(site.1)") }
      .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
      .map { "a timer, made at \($0.1)" }
  }
}
