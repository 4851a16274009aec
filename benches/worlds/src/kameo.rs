//! The programs as actors of kameo, with unbounded mailboxes.

use std::convert::Infallible;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox::unbounded;
use kameo::message::{Context, Message};

use crate::peers::{Note, Peer, Role, Then};

/// The address of an actor.
#[derive(Clone)]
pub(crate) struct Kameo(ActorRef<Player>);

pub(crate) struct Player(Role<Kameo>);

impl Actor for Player {
    type Args = Role<Kameo>;
    type Error = Infallible;

    async fn on_start(mut role: Role<Kameo>, me: ActorRef<Player>) -> Result<Player, Infallible> {
        if role.begin(&Kameo(me.clone())) == Then::Ends {
            // Nobody else can have stopped it yet.
            let _ = me.stop_gracefully().await;
        }
        Ok(Player(role))
    }
}

impl Message<Note<Kameo>> for Player {
    type Reply = ();

    async fn handle(&mut self, note: Note<Kameo>, context: &mut Context<Player, ()>) {
        if self.0.take(note) == Then::Ends {
            context.stop();
        }
    }
}

impl Peer for Kameo {
    fn start(role: Role<Kameo>) -> Kameo {
        Kameo(Player::spawn_with_mailbox(role, unbounded()))
    }

    fn tell(&self, note: Note<Kameo>) {
        // A receiver that is done takes no more.
        let _ = self.0.tell(note).try_send();
    }
}
