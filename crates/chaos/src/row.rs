//! A row of a matrix.

/// What is done, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<F, E> {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) fault: F,
    /// What must come of it.
    pub(crate) expect: E,
    /// Whether the small form of the matrix has it.
    pub(crate) quick: bool,
}
