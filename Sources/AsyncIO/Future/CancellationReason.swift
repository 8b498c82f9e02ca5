// SPDX-License-Identifier: Apache-2.0
//
// Why something was cancelled.

/// Why a future or a task was cancelled: who asked, where, and with what words.
///
/// Swift's `CancellationError` carries nothing, so the reason stands on the future or task:
/// ``AnyFuture/cancellationReason``. The first request's is kept.
public struct CancellationReason: Sendable, Hashable, CustomStringConvertible {
  /// Who asked.
  public enum Kind: String, Sendable, Hashable {
    /// A call of `cancel`.
    case call
    /// A deadline that passed.
    case deadline
    /// Something that it was a part of: the Swift task that awaited it, or a group.
    case parent
    /// The end of the loop's run, or its closing.
    case shutdown
    /// The body threw `CancellationError` though nobody had asked.
    case body
  }

  /// Who asked.
  public var kind: Kind { content.kind }

  /// The words of the request, where there were any.
  public var message: String? { content.message }

  /// The file and line of the request, where it was a call: `Module/File.swift:12`.
  public var site: String? { content.site }

  private struct Content: Hashable, Sendable {
    let kind: Kind
    let message: String?
    let site: String?
  }

  /// Behind a reference: every future and task has room for a reason, and few get one.
  private final class Box: Sendable {
    let content: Content
    init(_ content: Content) { self.content = content }
  }
  private let box: Box
  private var content: Content { box.content }

  package init(_ kind: Kind, message: String? = nil, site: String? = nil) {
    box = Box(Content(kind: kind, message: message, site: site))
  }

  /// Whether two say the same.
  public static func == (a: CancellationReason, b: CancellationReason) -> Bool { a.content == b.content }

  /// Feeds what it says to a hasher.
  public func hash(into hasher: inout Hasher) { hasher.combine(content) }

  /// All of it in a line.
  public var description: String {
    var line = "cancelled (\(kind.rawValue))"
    if let message { line += ": \(message)" }
    if let site { line += " at \(site)" }
    return line
  }
}
