//! Which function of a new program stands for which of the old one.
//!
//! Functions correspond by name. Where a name is used more than once, as that of anonymous functions is, the function is named by the
//! one that mentions it first, and by its place among those of its name that this one mentions: what is changed in one function
//! does not move those of another.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::{Link, Program};

use super::{DeclaredMap, UpgradeError};

/// The counterpart of each function of the old program, if it has one.
pub(super) fn counterparts(
    old: &Program,
    new: &Program,
    declared: &DeclaredMap,
) -> Result<Vec<Option<u32>>, UpgradeError> {
    let renamed = renamed(old, new, declared)?;
    let old_names = names(old, &renamed);
    let new_names = names(new, &BTreeMap::new());
    let mut repeated = repeated(&old_names);
    repeated.extend(self::repeated(&new_names));
    let new_keys: BTreeMap<String, u32> = keys(new, &new_names, &repeated)
        .into_iter()
        .zip(0..)
        .filter_map(|(key, number)| Some((key?, number)))
        .collect();
    let mut taken = BTreeSet::new();
    let mut found = Vec::with_capacity(old.functions.len());
    for key in keys(old, &old_names, &repeated) {
        let to = key.and_then(|key| new_keys.get(&key).copied());
        if let Some(to) = to.filter(|to| !taken.insert(*to)) {
            return Err(UpgradeError::Twice(new.function_name(to)));
        }
        found.push(to);
    }
    Ok(found)
}

/// New names of functions by old ones, as they were declared.
fn renamed(
    old: &Program,
    new: &Program,
    declared: &DeclaredMap,
) -> Result<BTreeMap<String, String>, UpgradeError> {
    let mut renamed = BTreeMap::new();
    for function in &declared.functions {
        for (program, name, of) in [(old, &function.from, "old"), (new, &function.to, "new")] {
            let mut names = (0..program.functions.len() as u32).map(|f| program.function_name(f));
            if !names.any(|other| other == *name) {
                let (what, name) = ("function", name.clone());
                return Err(UpgradeError::Unknown { what, name, of });
            }
        }
        let before = renamed.insert(function.from.clone(), function.to.clone());
        if before.is_some() {
            return Err(UpgradeError::Twice(function.from.clone()));
        }
    }
    Ok(renamed)
}

/// The names of a program's functions, as they were renamed.
fn names(program: &Program, renamed: &BTreeMap<String, String>) -> Vec<String> {
    let names = (0..program.functions.len() as u32).map(|number| {
        let name = program.function_name(number);
        renamed.get(&name).cloned().unwrap_or(name)
    });
    names.collect()
}

/// The names that are there more than once.
fn repeated(names: &[String]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let repeated = names.iter().filter(|name| !seen.insert(*name));
    repeated.cloned().collect()
}

/// What the functions of a program are called, each differently; nothing for one that nobody mentions.
fn keys(program: &Program, names: &[String], repeated: &BTreeSet<String>) -> Vec<Option<String>> {
    let count = program.functions.len();
    let mut keys: Vec<Option<String>> = names
        .iter()
        .map(|name| (!repeated.contains(name)).then(|| name.clone()))
        .collect();
    let mut open: Vec<usize> = (0..count).filter(|f| keys[*f].is_some()).rev().collect();
    while let Some(parent) = open.pop() {
        let Some(of_parent) = keys[parent].clone() else {
            continue;
        };
        let mut places: BTreeMap<&String, u32> = BTreeMap::new();
        for link in &program.links[parent] {
            let Link::Function(child) = *link else {
                continue;
            };
            let child = child as usize;
            if keys[child].is_none() {
                let place = places.entry(&names[child]).or_default();
                keys[child] = Some(format!("{of_parent}/{}#{place}", names[child]));
                *place += 1;
                open.push(child);
            }
        }
    }
    keys
}
