//! Where the actors of a world hibernate: what several subcommands take and tell.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use physics_world::World;
use physics_world::runtime::disk::RealDisk;
use physics_world::runtime::hibernation::{HibernationSettings, HibernationStatistics};
use physics_world::runtime::world::WorldBuilder;
use physics_world::source::BadInput;

/// Where actors hibernate, and when.
#[derive(Args)]
pub(crate) struct Hibernating {
    /// Move actors that wait for long out of memory, into files in this directory, which must be empty or not be there. What the
    /// world does is the same. The files go with the process.
    #[arg(long, value_name = "DIR")]
    hibernate: Option<PathBuf>,
    /// Ticks for which an actor waits at least before it is moved.
    #[arg(long, value_name = "N", requires = "hibernate")]
    hibernate_after: Option<u64>,
}

impl Hibernating {
    /// Has actors hibernate, if that is wanted.
    pub(crate) fn set_up(&self, builder: WorldBuilder) -> Result<WorldBuilder, BadInput> {
        let Some(directory) = &self.hibernate else {
            return Ok(builder);
        };
        let bad = |error: String| BadInput::new(format!("{}: {error}", directory.display()));
        let disk = RealDisk::open(directory).map_err(|error| bad(error.to_string()))?;
        let mut settings = HibernationSettings::default();
        settings.after_ticks = self.hibernate_after.unwrap_or(settings.after_ticks);
        let builder = builder.hibernate(Arc::new(disk), settings);
        builder.map_err(|error| bad(error.to_string()))
    }
}

/// What hibernates in a world, in a line; nothing where nobody does.
pub(crate) fn hibernation_text(hibernation: Option<&HibernationStatistics>) -> Option<String> {
    let HibernationStatistics {
        hibernated,
        stored,
        returned,
        file_bytes,
        write_errors,
        write_error,
        ..
    } = hibernation?;
    let mut text = format!(
        "{hibernated} actors hibernate in {file_bytes} bytes  {stored} went, {returned} came back"
    );
    if let Some(error) = write_error {
        text += &format!("  {write_errors} times not written: {error}");
    }
    Some(text)
}

/// What hibernates in a world, for machines; null where nobody does.
pub(crate) fn hibernation_json(hibernation: Option<&HibernationStatistics>) -> serde_json::Value {
    hibernation.map_or(serde_json::Value::Null, |hibernation| {
        serde_json::json!({
            "hibernated": hibernation.hibernated,
            "stored": hibernation.stored,
            "returned": hibernation.returned,
            "file_bytes": hibernation.file_bytes,
            "live_bytes": hibernation.live_bytes,
            "write_errors": hibernation.write_errors,
            "write_error": hibernation.write_error,
        })
    })
}

/// Why a world cannot go on that has lost an actor, if it has.
pub(crate) fn lost(world: &World) -> Option<String> {
    let error = world.hibernation_error()?;
    Some(format!("it has lost an actor: {error}"))
}
