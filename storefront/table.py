"""The whole API on one screen. To add to it: a handler in ``storefront/routes/``, and its line here."""

from contracts.api import (
    Accepted,
    Categories,
    EventsAnswer,
    ItemList,
    ItemsQuery,
    ProfileAnswer,
    Recommendations,
    RecommendationsQuery,
    SearchQuery,
    UserQuery,
    Visitor,
    VisitorWish,
    Why,
    WhyQuery,
)
from contracts.messages import CatalogueItem
from contracts.operator_api import (
    ItemQuery,
    ItemView,
    LetterQuery,
    Letters,
    LettersQuery,
    OpenLetter,
    Operator,
    Redriven,
    RedriveWish,
    ShopperQuery,
    ShopperView,
)
from contracts.rules import Rule
from contracts.rules_api import DryRun, RuleList, RuleSaved, RuleState
from storefront.access import Role
from storefront.endpoint import Endpoint
from storefront.routes import events, operator, rules, shop, slates

SHOPPERS = (Role.VISITOR, Role.SERVER, Role.OPERATOR)
SHOP = (Role.SERVER, Role.OPERATOR)
ALL = (Role.PAGE, *SHOPPERS)

ENDPOINTS = (
    Endpoint("POST", "/v1/visitors", events.post_visitor, "A token for a page's visitor.", Visitor,
             (Role.PAGE, *SHOP), body=VisitorWish),
    Endpoint("POST", "/v1/events", events.post_events, "What shoppers did: one event or a list.", EventsAnswer,
             SHOPPERS, raw=True, status=202, also=(422,)),
    Endpoint("GET", "/v1/recommendations", slates.get_recommendations, "A slate.", Recommendations,
             SHOPPERS, query=RecommendationsQuery, also=(404, 422)),
    Endpoint("GET", "/v1/recommendations/{recommendation_id}/why", slates.get_why, "A slate's receipt in words.", Why,
             SHOPPERS, query=WhyQuery, also=(404,)),
    Endpoint("GET", "/v1/stream", slates.get_stream, "New slates as they are made (server-sent events).", None,
             SHOPPERS, query=UserQuery),
    Endpoint("GET", "/v1/items/{item_id}", shop.get_item, "An item.", CatalogueItem, ALL, also=(404,)),
    Endpoint("GET", "/v1/items/{item_id}/similar", shop.get_similar, "What is most like an item.", ItemList,
             ALL, query=ItemsQuery, also=(404,)),
    Endpoint("GET", "/v1/trending", shop.get_trending, "What is liked most lately.", ItemList, ALL, query=ItemsQuery),
    Endpoint("GET", "/v1/categories", shop.get_categories, "The widest categories.", Categories, ALL),
    Endpoint("GET", "/v1/search", shop.get_search, "What some words mean.", ItemList, ALL, query=SearchQuery),
    Endpoint("GET", "/v1/profile", shop.get_profile, "Everything that is known of a shopper.", ProfileAnswer,
             SHOPPERS, query=UserQuery),
    Endpoint("DELETE", "/v1/profile", shop.delete_profile, "Forget a shopper.", Accepted, SHOPPERS,
             query=UserQuery, status=202),
    Endpoint("PUT", "/v1/catalogue/{item_id}", shop.put_item, "An item, or its new state.", CatalogueItem, SHOP,
             body=CatalogueItem, status=202, also=(422,)),
    Endpoint("DELETE", "/v1/catalogue/{item_id}", shop.delete_item, "Take an item out.", CatalogueItem, SHOP,
             status=202, also=(404,)),
    Endpoint("GET", "/v1/rules", rules.get_rules, "The merchandiser's rules.", RuleList, SHOP),
    Endpoint("POST", "/v1/rules/dry-run", rules.post_dry_run, "What a rule would change.", DryRun, SHOP,
             body=Rule, also=(422,)),
    Endpoint("GET", "/v1/rules/{rule_id}", rules.get_rule, "A rule.", RuleState, SHOP, also=(404,)),
    Endpoint("PUT", "/v1/rules/{rule_id}", rules.put_rule, "Save a rule.", RuleSaved, SHOP,
             body=Rule, status=202, also=(422,)),
    Endpoint("DELETE", "/v1/rules/{rule_id}", rules.delete_rule, "Delete a rule.", RuleSaved, SHOP,
             status=202, also=(404,)),
    Endpoint("GET", "/v1/operator", operator.get_operator, "How it goes.", Operator, (Role.OPERATOR,)),
    Endpoint("GET", "/v1/operator/dead-letters", operator.get_dead_letters, "What could not be processed.", Letters,
             (Role.OPERATOR,), query=LettersQuery),
    Endpoint("GET", "/v1/operator/dead-letters/one", operator.get_dead_letter, "One letter whole.", OpenLetter,
             (Role.OPERATOR,), query=LetterQuery, also=(404,)),
    Endpoint("POST", "/v1/operator/dead-letters/redrive", operator.post_redrive, "Send letters back.", Redriven,
             (Role.OPERATOR,), body=RedriveWish, status=202, also=(404, 409)),
    Endpoint("GET", "/v1/operator/shopper", operator.get_shopper, "Any shopper.", ShopperView,
             (Role.OPERATOR,), query=ShopperQuery),
    Endpoint("GET", "/v1/operator/item", operator.get_item_view, "Any item: who sees it, why not.", ItemView,
             (Role.OPERATOR,), query=ItemQuery),
)  # fmt: skip
