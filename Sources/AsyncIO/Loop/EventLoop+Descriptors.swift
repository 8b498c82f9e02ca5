// SPDX-License-Identifier: Apache-2.0
//
// Callbacks on the readiness of descriptors.

import Glibc
public import SystemPackage

extension EventLoop {
  /// Calls back in each turn that finds the descriptor readable: data, the end of the stream, a hang-up or an error.
  ///
  /// The descriptor stays the caller's: remove the reader before you close it, or call ``descriptorWillClose(_:)``. It
  /// should be non-blocking, since another reader may have been faster; in debug mode a socket has to be. A reader that
  /// was there before is replaced; when this throws it stays, if its descriptor is what it was, and the kernel has still
  /// room for it. A callback that throws is reported, and stays.
  ///
  /// - Throws: ``SystemError``: `EBADF` for what is no open descriptor, `EPERM` for one that is always ready (a regular
  ///   file, `/dev/null`), which epoll does not take. ``InvalidArgumentError`` in debug mode, for a socket that blocks.
  ///   ``LoopClosedError`` on a closed loop.
  public func addReader(
    _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: @escaping () throws -> Void
  ) throws {
    try addWatch(WatchKey(descriptor, .readable), fileID, line, callback)
  }

  /// Removes a reader; it does not run any more, even if it was due in the present batch.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeReader(_ descriptor: FileDescriptor) -> Bool {
    endWatch(WatchKey(descriptor, .readable))
  }

  /// Calls back in each turn that finds room to write, a hang-up or an error; as ``addReader(_:fileID:line:_:)`` in all
  /// else.
  public func addWriter(
    _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: @escaping () throws -> Void
  ) throws {
    try addWatch(WatchKey(descriptor, .writable), fileID, line, callback)
  }

  /// Removes a writer; it does not run any more, even if it was due in the present batch.
  ///
  /// - Returns: `false` when there was none.
  @discardableResult
  public func removeWriter(_ descriptor: FileDescriptor) -> Bool {
    endWatch(WatchKey(descriptor, .writable))
  }

  /// Says that a descriptor is about to be closed, so that nobody uses its number afterwards. Call it, and close.
  ///
  /// ```swift
  /// loop.descriptorWillClose(descriptor)
  /// try descriptor.close()
  /// ```
  ///
  /// Its reader and its writer are removed, and do not run any more, even if they were due in the present batch. Who
  /// waits in ``waitReadable(_:timeout:)`` or ``waitWritable(_:timeout:)`` gets ``DescriptorClosedError``. When this returns, the loop
  /// has nothing to do with the number: whoever is given it next is told of nothing that was meant for this one.
  ///
  /// For a descriptor that nobody waits for, it does nothing. Connections, servers and endpoints own their descriptors,
  /// and need no such notice. trio's `notify_closing`.
  ///
  /// - Complexity: O(the number of those who wait for it).
  public func descriptorWillClose(_ descriptor: FileDescriptor) {
    removeReader(descriptor)
    removeWriter(descriptor)
    for interest in interests.removeValue(forKey: descriptor) ?? [] { interest.endForClosing() }
  }

  /// Notes somebody who is to hear of ``descriptorWillClose(_:)``.
  package func note(_ interest: any DescriptorInterest, in descriptor: FileDescriptor) {
    interests[descriptor, default: []].append(interest)
  }

  /// Forgets one who was noted, and may have been told.
  package func forget(_ interest: any DescriptorInterest, in descriptor: FileDescriptor) {
    guard let place = interests[descriptor]?.firstIndex(where: { $0 === interest }) else { return }
    interests[descriptor]?.remove(at: place)
    if interests[descriptor]?.isEmpty == true { interests[descriptor] = nil }
  }

  /// In debug mode, refuses a socket that would block the loop when somebody else was faster.
  package func requireNonBlocking(_ descriptor: FileDescriptor) throws(InvalidArgumentError) {
    guard isDebugging else { return }
    let flags = fcntl(descriptor.rawValue, F_GETFL)
    var status = stat()
    // What is no open descriptor is told by the kernel. A terminal or a pipe is often shared with others, who want it
    // to block.
    guard flags >= 0, flags & O_NONBLOCK == 0, unsafe fstat(descriptor.rawValue, &status) == 0,
      status.st_mode & S_IFMT == S_IFSOCK
    else { return }
    throw InvalidArgumentError(
      "descriptor \(descriptor.rawValue) is a socket in blocking mode, and would hold up the loop; set O_NONBLOCK on it"
    )
  }

  private func addWatch(
    _ key: WatchKey, _ fileID: StaticString, _ line: UInt, _ callback: @escaping Callback
  ) throws {
    guard !isClosed else { throw closedError() }
    try requireNonBlocking(key.descriptor)
    // The one that was there stays when this fails, if it can. It rests meanwhile: what the kernel knows of it may be
    // another file, that had the same number before, and is not to be taken for this one.
    let old = watches[key]
    old?.pause()
    do {
      watches[key] = try DescriptorWatch(on: self, key.descriptor, key.readiness, fileID, line, callback)
    } catch {
      // What is closed, or always ready, by now is watched by nobody.
      if let old, !old.resume() { endWatch(key) }
      throw error
    }
    old?.end()
  }

  @discardableResult
  func endWatch(_ key: WatchKey) -> Bool {
    guard let watch = watches.removeValue(forKey: key) else { return false }
    watch.end()
    return true
  }

  /// A watch of its own, beside those of `addReader` and `addWriter`.
  package func watch(
    _ descriptor: FileDescriptor, _ readiness: Readiness, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: @escaping () throws -> Void
  ) throws -> DescriptorWatch {
    guard !isClosed else { throw closedError() }
    return try DescriptorWatch(on: self, descriptor, readiness, fileID, line, callback)
  }
}

/// Somebody who waits for a descriptor of somebody else's.
package protocol DescriptorInterest: AnyObject {
  /// The descriptor is about to be closed: its number is not used after this. It calls no code of users.
  func endForClosing()
}

struct WatchKey: Hashable, Comparable {
  let descriptor: FileDescriptor
  let readiness: Readiness

  init(_ descriptor: FileDescriptor, _ readiness: Readiness) {
    self.descriptor = descriptor
    self.readiness = readiness
  }

  static func < (a: Self, b: Self) -> Bool {
    (a.descriptor.rawValue, a.readiness.rawValue) < (b.descriptor.rawValue, b.readiness.rawValue)
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
  private let fileID: StaticString
  private let line: UInt

  /// Where it was made: `Module/File.swift:12`.
  var site: String { "\(fileID):\(line)" }

  fileprivate init(
    on loop: isolated EventLoop, _ descriptor: FileDescriptor, _ readiness: Readiness,
    _ fileID: StaticString, _ line: UInt, _ callback: @escaping Callback
  ) throws(SystemError) {
    self.callback = callback
    self.fileID = fileID
    self.line = line
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

  fileprivate func pause() { watch?.pause() }

  /// - Returns: `false` where the number is no descriptor any more that can be watched.
  fileprivate func resume() -> Bool { (try? watch?.resume()) != nil }

  /// Ends the watch: the callback is let go of, and does not run any more.
  package func end() {
    watch?.end()
    watch = nil
    callback = nil
  }
}
