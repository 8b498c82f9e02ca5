// SPDX-License-Identifier: Apache-2.0
//
// Callbacks on the readiness of descriptors.

public import SystemPackage

extension EventLoop {
  /// Calls back in each turn that finds the descriptor readable: data, the end of the stream, a hang-up or an error.
  ///
  /// The descriptor stays the caller's: remove the reader before you close it. It should be non-blocking, since another
  /// reader may have been faster. A reader that was there before is replaced. A callback that throws is reported, and
  /// stays.
  ///
  /// - Throws: ``SystemError``: `EBADF` for what is no open descriptor, `EPERM` for one that is always ready (a regular
  ///   file, `/dev/null`), which epoll does not take. ``LoopClosedError`` on a closed loop.
  public func addReader(_ descriptor: FileDescriptor, _ callback: @escaping () throws -> Void) throws {
    try addWatch(WatchKey(descriptor, .readable), callback)
  }

  /// Removes a reader; it does not run any more, even if it was due in the present batch.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeReader(_ descriptor: FileDescriptor) -> Bool {
    endWatch(WatchKey(descriptor, .readable))
  }

  /// Calls back in each turn that finds room to write, a hang-up or an error; as ``addReader(_:_:)`` in all else.
  public func addWriter(_ descriptor: FileDescriptor, _ callback: @escaping () throws -> Void) throws {
    try addWatch(WatchKey(descriptor, .writable), callback)
  }

  /// Removes a writer; it does not run any more, even if it was due in the present batch.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeWriter(_ descriptor: FileDescriptor) -> Bool {
    endWatch(WatchKey(descriptor, .writable))
  }

  private func addWatch(_ key: WatchKey, _ callback: @escaping Callback) throws {
    guard !isClosed else { throw LoopClosedError() }
    endWatch(key)
    watches[key] = try DescriptorWatch(on: self, key.descriptor, key.readiness, callback)
  }

  @discardableResult
  func endWatch(_ key: WatchKey) -> Bool {
    guard let watch = watches.removeValue(forKey: key) else { return false }
    watch.end()
    return true
  }

  /// A watch of its own, beside those of `addReader` and `addWriter`.
  package func watch(
    _ descriptor: FileDescriptor, _ readiness: Readiness, _ callback: @escaping () throws -> Void
  ) throws -> DescriptorWatch {
    guard !isClosed else { throw LoopClosedError() }
    return try DescriptorWatch(on: self, descriptor, readiness, callback)
  }
}

struct WatchKey: Hashable {
  let descriptor: FileDescriptor
  let readiness: Readiness

  init(_ descriptor: FileDescriptor, _ readiness: Readiness) {
    self.descriptor = descriptor
    self.readiness = readiness
  }
}

/// A callback that runs in each turn that finds a descriptor ready.
///
/// Invariant: while a notice waits in the FIFO, `isQueued`, and no second one is put there; after `end()` a notice that
/// waits does nothing. So a callback of one descriptor may end the watch of another that is ready in the same batch,
/// and a new watch of a number that was given away again gets nothing that was meant for the old one.
package final class DescriptorWatch {
  private var watch: (any Watch)?
  private var callback: Callback?
  private var isQueued = false

  fileprivate init(
    on loop: isolated EventLoop, _ descriptor: FileDescriptor, _ readiness: Readiness,
    _ callback: @escaping Callback
  ) throws(SystemError) {
    self.callback = callback
    // Weak: the backend's watch, which holds this closure, is held by this object.
    watch = try loop.backend.watch(descriptor, for: readiness) { [weak self, executor = loop.executor] in
      guard let self, !isQueued else { return }
      isQueued = true
      executor.ready.append(.callback(run))
    }
  }

  private func run() throws {
    isQueued = false
    try callback?()
  }

  /// Ends the watch: the callback is let go of, and does not run any more.
  package func end() {
    watch?.end()
    watch = nil
    callback = nil
  }
}
