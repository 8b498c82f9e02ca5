// SPDX-License-Identifier: Apache-2.0
//
// A body in a task of its own, for the functions that take a body and wait for it. A cancel of that task sets Swift's
// flag there, and not in the caller's task, where nobody could take it back.

/// Makes a task of the running loop for a body that stays in its caller's isolation, whatever its value. Its place of
/// creation is the user's call.
///
/// - Throws: ``NoRunningLoopError``.
func ownTask<Success>(
  isolation: (any Actor)?, site: CreationSite, _ body: @escaping () async throws -> Success
) throws -> LoopTask<Confined<Success>> {
  ownTask(on: try EventLoop.running, isolation: isolation, site: site, body) { Confined(value: $0) }
}

/// The same on a loop that this thread holds.
func ownTask<Value, Success: Sendable>(
  on loop: EventLoop, name: String? = nil, isolation: (any Actor)?,
  site: CreationSite, _ body: @escaping () async throws -> Value,
  as success: @escaping @Sendable (Value) -> Success
) -> LoopTask<Success> {
  let body = Confined(value: body)
  return loop.assumeIsolated { loop in
    loop.createTask(name: name, fileID: site.fileID, line: UInt(site.line)) {
      success(try await call(body, on: isolation).value)
    }
  }
}

private func call<Value>(
  _ body: Confined<() async throws -> Value>, on isolation: isolated (any Actor)?
) async throws -> Confined<Value> {
  Confined(value: try await body.value())
}

/// A value that goes to and fro between a function and a task that it made.
///
/// `@unchecked Sendable`: the loop's thread runs both, in one isolation; so nobody else gets at what the value holds.
struct Confined<Value>: @unchecked Sendable {
  let value: Value
}
