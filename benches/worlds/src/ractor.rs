//! The programs as actors of ractor.

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime};

use crate::peers::{Note, Peer, Role, Then};

/// The address of an actor.
#[derive(Clone)]
pub(crate) struct Ractor(ActorRef<Note<Ractor>>);

struct Player;

impl Actor for Player {
    type Msg = Note<Ractor>;
    type State = Role<Ractor>;
    type Arguments = Role<Ractor>;

    async fn pre_start(
        &self,
        _: ActorRef<Note<Ractor>>,
        role: Role<Ractor>,
    ) -> Result<Role<Ractor>, ActorProcessingErr> {
        Ok(role)
    }

    async fn post_start(
        &self,
        me: ActorRef<Note<Ractor>>,
        role: &mut Role<Ractor>,
    ) -> Result<(), ActorProcessingErr> {
        if role.begin(&Ractor(me.clone())) == Then::Ends {
            me.stop(None);
        }
        Ok(())
    }

    async fn handle(
        &self,
        me: ActorRef<Note<Ractor>>,
        note: Note<Ractor>,
        role: &mut Role<Ractor>,
    ) -> Result<(), ActorProcessingErr> {
        if role.take(note) == Then::Ends {
            me.stop(None);
        }
        Ok(())
    }
}

impl Peer for Ractor {
    fn start(role: Role<Ractor>) -> Ractor {
        let started = ActorRuntime::spawn_instant(None, Player, role);
        Ractor(started.expect("it has no name that could be taken").0)
    }

    fn tell(&self, note: Note<Ractor>) {
        // A receiver that is done takes no more.
        let _ = self.0.send_message(note);
    }
}
