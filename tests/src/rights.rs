//! The rights of the scaler in a namespace.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::binary;
use crate::kube_api::{ADMIN, KubeApi, SCALER};

/// The rules that the scaler is to have, as they are shipped.
pub fn rules() -> Vec<PolicyRule> {
    let file = binary::workspace().join("helm/ottoscaler/files/scaler-rules.yaml");
    let text = std::fs::read_to_string(file).expect("the rules are shipped");
    serde_saphyr::from_str(&text).expect("the rules are rules")
}

/// Gives the scaler these rights in a namespace, in place of those that it had.
pub async fn allow(api: &KubeApi, namespace: &str, rules: Vec<PolicyRule>) {
    let client = api.client(ADMIN);
    let store: Api<Role> = Api::namespaced(client.clone(), namespace);
    let known = store.get_opt("ottoscaler").await.expect("the API server answers");
    if let Some(mut role) = known {
        role.rules = Some(rules);
        store.replace("ottoscaler", &PostParams::default(), &role).await.expect("the rules are valid");
        return;
    }
    let role = json!({ "metadata": { "name": "ottoscaler" }, "rules": rules });
    let role: Role = serde_json::from_value(role).expect("a role");
    store.create(&PostParams::default(), &role).await.expect("the rules are valid");
    let binding = json!({
        "metadata": { "name": "ottoscaler" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ottoscaler" },
        "subjects": [{ "kind": "User", "name": SCALER, "apiGroup": "rbac.authorization.k8s.io" }],
    });
    let binding: RoleBinding = serde_json::from_value(binding).expect("a binding");
    let bindings: Api<RoleBinding> = Api::namespaced(client, namespace);
    bindings.create(&PostParams::default(), &binding).await.expect("the binding is valid");
}
