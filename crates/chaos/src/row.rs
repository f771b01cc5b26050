//! A row of a matrix.

/// A fault, and its expected result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<F, E> {
    /// The name in the table.
    pub(crate) name: &'static str,
    /// The fault.
    pub(crate) fault: F,
    /// The expected result.
    pub(crate) expect: E,
    /// True if the small form of the matrix has this row.
    pub(crate) quick: bool,
}
