//! Plans that are made of one report, one after the other.

use super::*;
use crate::groundwork::Groundwork;
use crate::peers::{Demand, GroupDemand};
use proptest::prelude::*;

/// Two plans, the first of which ends in the meantime, and use of two clusters beyond them.
fn report() -> Scene {
    let mut scene = Scene::new(vec![
        plan("c", PlanKind::Compute, 2.0, 2.0),
        plan("e", PlanKind::Ec2Instance, 1.0, 1.0),
    ]);
    scene.ledger.plans[0].plan.end = Some(at("2026-11-22T05:00:00Z"));
    tagged(&mut scene, 1.5);
    let mut staging = scene.ledger.series[0].clone();
    staging.cluster = "staging".into();
    staging.class = brimful_savings_plans::ledger::UsageClass::OnDemand;
    scene.ledger.series.push(staging);
    scene.ledger.cells.push(scene.ledger.cells[0].clone());
    scene
}

fn staging(demand: u8) -> (String, Demand) {
    let told = GroupDemand {
        demand: dollars(f64::from(demand) / 10.0),
        at_compute: dollars(f64::from(demand) / 8.0),
        ..GroupDemand::default()
    };
    let groups = ["compute", "ec2Instance/m5/us-east-2"].map(|group| (group.to_owned(), told));
    let demand = Demand {
        comparable: true,
        groups: groups.into(),
        ..Demand::new("staging", at(NOW))
    };
    ("staging".to_owned(), demand)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Hours pass, plans end, nodes come and go, the cluster gets a name: a plan says what it would say had there been none
    /// before it.
    #[test]
    fn a_plan_after_others_of_its_report_is_the_plan_made_alone(
        steps in prop::collection::vec(
            (0_i64..1_200, prop::option::of(0_usize..40), any::<bool>(), prop::option::of(0_u8..30)),
            2..12,
        )
    ) {
        let mut scene = report();
        let utilization = scene.utilization();
        let mut groundwork = Groundwork::default();
        for (minutes, nodes, is_named, told) in steps {
            scene.nodes = nodes.map(|count| (0..count).map(node).collect());
            scene.config.cluster.name = is_named.then(|| "prod".to_owned());
            scene.peers.fresh = told.map(staging).into_iter().collect();
            scene.now = at(NOW) + Duration::minutes(minutes);
            let inputs = scene.inputs(&utilization);
            let after = propose_on(&inputs, &mut groundwork);
            prop_assert_eq!(&after, &propose(&inputs));
            scene.state = after.state;
        }
    }
}
