//! The allowed query parameters of each read, taken from the `OpenAPI` document, so that no route is forgotten.

use std::{collections::HashMap, sync::LazyLock};

use utoipa::{
    OpenApi,
    openapi::{
        RefOr,
        path::{Operation, ParameterIn},
    },
};

use super::Reads;

/// The parameters of each `GET` route by its path.
static KNOWN: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let paths = Reads::openapi().paths.paths.into_iter();
    paths.filter_map(|(path, item)| Some((path, names(&item.get?)))).collect()
});

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let of_query = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    of_query.collect()
}

/// Returns the parameters of the read at a path.
pub(super) fn of(path: &str) -> &'static [String] {
    KNOWN.get(path).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_says_what_it_takes() {
        assert!(of("/api/v1/devices").contains(&"minFailures".to_owned()));
        assert!(of("/api/v1/devices/{id}/sync-events").contains(&"cursor".to_owned()));
        assert!(of("/api/v1/silences").is_empty());
    }
}
