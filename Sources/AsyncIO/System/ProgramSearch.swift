// SPDX-License-Identifier: Apache-2.0
//
// Where the file of a program is.

import Glibc
package import SystemPackage

/// The search along `PATH`.
package enum ProgramSearch {
  /// Finds the file of a program.
  ///
  /// - Parameters:
  ///   - program: With a slash in it, it is the file's own path, whatever that holds.
  ///   - path: The directories, with colons in between; `nil`: the system's.
  ///   - directory: Where the child begins: what relative directories are relative to.
  /// - Throws: `ENOENT` when no directory has it; `EACCES` when one has a file of the name that may not be run.
  package static func find(
    _ program: String, along path: String?, from directory: String?
  ) throws(Errno) -> String {
    if program.utf8.contains(UInt8(ascii: "/")) { return program }
    guard !program.isEmpty else { throw .noSuchFileOrDirectory }
    var failure = Errno.noSuchFileOrDirectory
    for entry in (path ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false) {
      // An empty entry is the child's own directory. The slash keeps what is found from a search of its own.
      let candidate = "\(entry.isEmpty ? "." : entry)/\(program)"
      let seen = candidate.hasPrefix("/") ? candidate : directory.map { "\($0)/\(candidate)" } ?? candidate
      switch obstacle(toRunning: seen) {
      case .none: return candidate
      case .permissionDenied: failure = .permissionDenied
      case .some: break
      }
    }
    throw failure
  }

  /// What keeps a file from being run.
  private static func obstacle(toRunning path: String) -> Errno? {
    var facts = stat()
    // SAFETY: the strings are C strings, and the local is written, for the length of the calls.
    guard unsafe stat(path, &facts) == 0 else { return .last }
    guard facts.st_mode & S_IFMT == S_IFREG else { return .permissionDenied }
    return unsafe faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? nil : .last
  }

  /// Whether a process could begin in a directory; `nil`: it could.
  package static func obstacle(to directory: String) -> Errno? {
    var facts = stat()
    // SAFETY: as above.
    guard unsafe stat(directory, &facts) == 0 else { return .last }
    guard facts.st_mode & S_IFMT == S_IFDIR else { return .notDirectory }
    return unsafe faccessat(AT_FDCWD, directory, X_OK, AT_EACCESS) == 0 ? nil : .last
  }
}
