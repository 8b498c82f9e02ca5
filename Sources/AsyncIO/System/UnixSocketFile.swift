// SPDX-License-Identifier: Apache-2.0
//
// The file that a bound Unix socket leaves behind: whose it is, and when it may go.

import Glibc
import SystemPackage

/// The file of a Unix socket that was bound here: it is removed by its owner, if it is the same file still.
package struct UnixSocketFile: Sendable {
  private let path: String
  private let device: dev_t
  private let inode: ino_t

  /// Takes note of the file that a socket was just bound to; `nil` when there is none.
  package init?(at path: String) {
    guard let status = Self.status(of: path) else { return nil }
    self.path = path
    device = status.st_dev
    inode = status.st_ino
  }

  /// Removes the file. One that is gone, or is another one by now, is left alone.
  package func remove() {
    guard let now = Self.status(of: path), now.st_dev == device, now.st_ino == inode else { return }
    // SAFETY: the path is a C string for the length of the call. A failure leaves a file, which the next owner replaces.
    _ = unsafe unlink(path)
  }

  /// Makes room at an address: removes a file that a socket has left, of which nobody takes connections.
  ///
  /// - Parameter type: `SOCK_STREAM` or `SOCK_DGRAM`: the kind that is to be bound.
  /// - Returns: Whether the address is free now. It is not when the file is no socket, or is in use; then it is kept.
  static func clear(_ address: SocketAddress, _ type: Int32, calls: any SystemCalls) -> Bool {
    guard let path = address.unixPath else { return false }
    guard let status = status(of: path) else { return true }
    guard status.st_mode & S_IFMT == S_IFSOCK, isAbandoned(address, type, calls: calls) else { return false }
    // SAFETY: as above.
    return unsafe unlink(path) == 0
  }

  private static func isAbandoned(_ address: SocketAddress, _ type: Int32, calls: any SystemCalls) -> Bool {
    do throws(SystemError) {
      _ = try OwnedSocket.open(.unix, type, calls: calls).connect(to: address)
      return false
    } catch {
      // Also of another kind of socket, or one whose queue is full, somebody is there.
      return error.errno == .connectionRefused
    }
  }

  private static func status(of path: String) -> stat? {
    var status = stat()
    // SAFETY: the path is a C string, and the structure ours, for the length of the call.
    return unsafe lstat(path, &status) == 0 ? status : nil
  }
}

extension OwnedSocket {
  /// Binds a Unix socket to a path, in the place of a file that an earlier owner has left behind.
  ///
  /// - Returns: The file, to be removed at the end; `nil` for a name that is no file, and for calls that make none.
  /// - Throws: `EADDRINUSE` when somebody listens there, or the file is no socket.
  package func bindReplacingStaleFile(to address: SocketAddress, _ type: Int32) throws(SystemError) -> UnixSocketFile? {
    do throws(SystemError) {
      try bind(to: address)
    } catch {
      guard error.errno == .addressInUse, calls.makesFiles, UnixSocketFile.clear(address, type, calls: calls) else {
        throw error
      }
      try bind(to: address)
    }
    return calls.makesFiles ? address.unixPath.flatMap { UnixSocketFile(at: $0) } : nil
  }
}
