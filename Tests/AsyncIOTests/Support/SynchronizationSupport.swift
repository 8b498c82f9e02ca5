// SPDX-License-Identifier: Apache-2.0
//
// What tests of locks and queues share.

@testable import AsyncIO

/// Something of one loop, in the hands of Swift tasks on it, which the compiler does not know of.
struct Smuggled<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

/// All orders of some things.
func permutations<T>(_ elements: [T]) -> [[T]] {
  if elements.isEmpty { return [[]] }
  return elements.indices.flatMap { index in
    var rest = elements
    let first = rest.remove(at: index)
    return permutations(rest).map { [first] + $0 }
  }
}

/// Waits for something, and notes the number when it has come, and with an `x` when that failed.
func noting(_ number: Int, in log: Log, _ wait: () async throws -> Void) async throws {
  do {
    try await wait()
    log.add("\(number)")
  } catch {
    log.add("x\(number)")
    throw error
  }
}

extension EventLoop {
  /// Checks something in each turn, until the check says that it is over.
  func everyTurn(_ check: @escaping () -> Bool) { EveryTurn(check).arm(on: self) }

  /// Tasks with a name each, in order.
  func tasks(_ names: some Sequence<Int>, _ body: @escaping (Int) async throws -> Void) -> [LoopTask<Void>] {
    let body = Smuggled(body)
    return names.map { number in
      createTask {
        _ = self
        try await body.value(number)
      }
    }
  }
}

private final class EveryTurn {
  private let check: () -> Bool

  init(_ check: @escaping () -> Bool) { self.check = check }

  func arm(on loop: isolated EventLoop) {
    loop.callSoon { if self.check() { self.arm(on: loop) } }
  }
}
