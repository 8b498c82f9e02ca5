// SPDX-License-Identifier: Apache-2.0
//
// How a task is suspended.

/// Suspends the calling task until the continuation that the body gets is resumed.
///
/// As `withUnsafeContinuation`, which asks for the caller's executor before the suspension as well as after it. The
/// second time is enough, since the caller is on it already, and each time takes a lock: this form of the standard
/// library's own does not ask by itself, so only its caller does, after it.
@inline(__always)
func suspendTask(_ body: (UnsafeContinuation<Void, Never>) -> Void) async {
  unsafe await _unsafeInheritExecutor_withUnsafeContinuation { unsafe body($0) }
}
