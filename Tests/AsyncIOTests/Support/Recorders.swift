// SPDX-License-Identifier: Apache-2.0
//
// What tests write down, and the errors that they throw.

@testable import AsyncIO

/// An error with an identity.
final class Boom: Error, CustomStringConvertible {
  let description: String
  init(_ description: String = "boom") { self.description = description }
}

/// What happened, in order. Plain, so that the loop's confinement is tested along.
final class Log {
  private(set) var entries: [String] = []
  func add(_ entry: String) { entries.append(entry) }
}

/// A number that plain callbacks count up.
final class Counter {
  var value = 0
}

/// A value that threads share. (Under a lock that the thread sanitizer knows.)
final class Shared<Value: Sendable>: Sendable {
  private let locked: Locked<Value>

  init(_ value: Value) { locked = Locked(value) }

  var value: Value { locked.withLock { $0 } }

  func change(_ body: (inout sending Value) -> Void) { locked.withLock { body(&$0) } }
}

/// What happened, from any thread.
typealias Notes<Element: Sendable> = Shared<[Element]>

extension Shared {
  convenience init<Element>() where Value == [Element] { self.init([]) }

  func add<Element>(_ element: Element) where Value == [Element] { change { $0.append(element) } }
}

extension Shared where Value: Collection {
  var count: Int { value.count }
}

/// The reports of a loop.
typealias Reports = Notes<ExceptionContext>

extension Reports {
  /// Reports that a loop has made from here on; they do not go to the log.
  convenience init(of loop: isolated EventLoop) {
    self.init()
    loop.exceptionHandler = { [self] in add($0) }
  }

  var kinds: [ExceptionContext.Kind] { value.map(\.kind) }
}

/// Gives up the turn so many times.
func turns(_ count: Int = 1) async throws {
  for _ in 0..<count { try await sleep(for: .zero) }
}

/// A short name for how something ended.
func outcome<A: Awaitable>(of awaitable: A) async -> String {
  do {
    return "\(try await awaitable.value)"
  } catch is CancellationError {
    return "cancelled"
  } catch {
    return "\(error)"
  }
}

extension EventLoop {
  /// A Swift task that is no task of the loop, but runs on it all the time, as a child of one does.
  ///
  /// (A plain `Task {}` of the loop's isolation comes by the global pool after each await that is not ours.)
  nonisolated func foreignTask<T: Sendable>(_ body: @escaping @Sendable () async -> T) -> Task<T, Never> {
    Task(executorPreference: executor, operation: body)
  }

  /// The same, of a body that may throw.
  nonisolated func foreignTask<T: Sendable>(
    _ body: @escaping @Sendable () async throws -> T
  ) -> Task<T, any Error> {
    Task(executorPreference: executor, operation: body)
  }
}
