//! Who was told of the alerts of a point: what was decided at each look at their groups, and
//! what became of the messages.

use super::super::instant;
use super::{DeliveryStep, DeskError, NoticeStep, Subject, TryView};
use crate::alert::{self, Notice, Silence};
use crate::store::{Delivery, DeliveryFilter, DocumentKind};

impl Subject<'_> {
    pub(super) fn telling(&self) -> Result<(Vec<NoticeStep>, Vec<DeliveryStep>), DeskError> {
        if self.alerts.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut steps = Vec::new();
        for (_, notice) in self.desk.store.documents::<Notice>(&self.key.tenant, DocumentKind::Notice, "")? {
            for alert in &self.alerts {
                let held = notice.held.iter().find(|(id, _)| *id == alert.id).map(|(_, why)| why.clone());
                if held.is_some() || notice.told.contains(&alert.id) {
                    steps.push(self.notice_step(&alert.id, &notice, held)?);
                }
            }
        }
        let own = |delivery: &Delivery| {
            steps.iter().any(|step| step.held.is_none() && step.deliveries.contains(&delivery.id))
                || self.alerts.iter().any(|alert| delivery.subject.as_ref().is_some_and(|(_, id)| *id == alert.id))
        };
        let about = DeliveryFilter { key: Some(self.key.clone()), state: None };
        let all = self.desk.store.deliveries(&about)?;
        let mut deliveries: Vec<_> = all.into_iter().filter(own).map(delivery_step).collect();
        deliveries.sort_by(|a, b| (a.queued, &a.id).cmp(&(b.queued, &b.id)));
        Ok((steps, deliveries))
    }

    fn notice_step(&self, alert: &str, notice: &Notice, held: Option<alert::Why>) -> Result<NoticeStep, DeskError> {
        let text = match &held {
            Some(why) => self.held_text(why)?,
            None if notice.repeat => format!("told {} again, since nothing changed", notice.receiver),
            None => format!("told {}", notice.receiver),
        };
        Ok(NoticeStep {
            alert: alert.to_owned(),
            at: notice.at,
            route: notice.route.clone(),
            receiver: notice.receiver.clone(),
            group: notice.group.clone(),
            told: notice.told.len(),
            repeat: notice.repeat,
            held,
            text,
            deliveries: notice.deliveries.clone(),
        })
    }

    fn held_text(&self, why: &alert::Why) -> Result<String, DeskError> {
        Ok(match why {
            alert::Why::Silenced(id) => {
                match self.desk.store.document::<Silence>(&self.key.tenant, DocumentKind::Silence, id)? {
                    Some(Silence { matchers, author, comment, end, .. }) => {
                        let said = if comment.is_empty() { String::new() } else { format!(" (\"{comment}\")") };
                        format!("silenced by {id}, {matchers} of {author}{said}, until {}", instant::text(end))
                    }
                    None => format!("silenced by {id}"),
                }
            }
            alert::Why::Inhibited(by) => {
                let name = self.desk.alert(by).map(|alert| format!(" of {}", alert.name)).unwrap_or_default();
                format!("inhibited while the alert {by}{name} fires")
            }
            alert::Why::Muted(interval) => format!("its route is muted by the time interval {interval}"),
            alert::Why::Inactive => "none of its route's active_time_intervals is on".to_owned(),
            alert::Why::Snoozed(until) => format!("snoozed until {}", instant::text(*until)),
            alert::Why::Acknowledged(by) => format!("acknowledged by {by}, so it is not told again"),
            alert::Why::Waiting(until) => {
                format!("its group waits until {} (group_wait, group_interval)", instant::text(*until))
            }
            alert::Why::ResolvedUnwanted => "it is over, and send_resolved is false".to_owned(),
            alert::Why::OverBeforeTold => "it was over before anybody could be told".to_owned(),
            alert::Why::Unrouted => "its batch names no alert_methods, and no route leads anywhere".to_owned(),
            alert::Why::ReceiverGone => "its receiver is no longer in the configuration".to_owned(),
        })
    }
}

fn delivery_step(delivery: Delivery) -> DeliveryStep {
    let tries = delivery.attempts.into_iter().map(|attempt| {
        let (sent, answer) = match attempt.outcome {
            Ok(receipt) => (true, receipt),
            Err(why) => (false, why),
        };
        TryView { at: attempt.at, sent, answer }
    });
    DeliveryStep {
        id: delivery.id,
        receiver: delivery.receiver,
        method: delivery.method,
        title: delivery.alert.title,
        state: delivery.state,
        queued: delivery.queued,
        due: delivery.due,
        tries: tries.collect(),
    }
}
